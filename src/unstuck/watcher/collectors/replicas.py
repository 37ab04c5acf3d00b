"""Copies of a model on several ranks: a few numbers that tell how far they lie apart.

Each rank reads its own copy and asks nobody: no collective is started. What a rank holds only a
part of (FSDP, tensor parallel) is no copy and is not read.
"""

import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.ranks import process_group
from unstuck.watcher.schedule import looks_at_layers

PROJECTIONS = 8  # the distance they give is within some 25 % of the true one
WIDTH = 1024  # numbers of a parameter are added up in so many places before they are projected
MOST_TENSORS = 2000


class Replicas(Collector):
    """Random projections of the parameters of every model, the same ones on every rank.

    Taken at the steps of the fixed schedule: what a rank can afford is no other rank's measure.
    """

    every_step = True

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._step = -1
        self._joined = False
        self._signs: dict[torch.device, tuple[Tensor, Tensor]] = {}
        self._shapes: dict[str, int] = {}

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        step = self.recorder.clock.step
        if step == self._step or not looks_at_layers(step):
            return
        self._step = step
        group = process_group()
        self.rest(group is None)  # sampled steps ask again
        if group is None:
            return
        if not self._joined:
            self._joined = True
            self._note(group)
        for model_name, model in self.watched.modules.models.items():
            self._read(model_name, model)

    def close(self) -> None:
        if self._joined:
            self.recorder.note({"exit/closed": True})

    def _note(self, group: Any) -> None:
        facts = {"index": group.get_rank(), "count": group.get_world_size()}
        named = {f"ranks/{key}": value for key, value in facts.items()}
        self.recorder.note(named | {"ranks/backend": str(group.get_backend())})

    def _read(self, name: str, model: nn.Module) -> None:
        held = [p.detach() for p in model.parameters()][:MOST_TENSORS]
        if not held or any(hasattr(p, "_local_tensor") or not p.is_floating_point() for p in held):
            return
        device = held[0].device
        if device.type == "meta" or any(p.device != device for p in held):
            return
        if name not in self._shapes:
            shapes = zlib.crc32(repr([tuple(p.shape) for p in held]).encode())
            self._shapes[name] = shapes
            self.recorder.note({f"replica/{name}/shapes": shapes})
        added, squares = self._added_up(held, device)
        signs = self._of(device)[0]
        names = [f"replica/{name}/projection{i}" for i in range(PROJECTIONS)]
        values = [*(signs @ added).unbind(), squares.sqrt()]
        keys = [*names, f"replica/{name}/norm"]
        self.recorder.vector(values, lambda numbers: dict(zip(keys, numbers, strict=True)))

    def _added_up(self, held: list[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
        """All parameters added up into WIDTH places, each tensor with signs of its own."""
        added = torch.zeros(WIDTH, device=device)
        shuffled = self._of(device)[1]
        for i, p in enumerate(held):
            flat = p.reshape(-1)
            whole = flat.numel() // WIDTH * WIDTH
            sign = shuffled[i % WIDTH]
            if whole:
                added += flat[:whole].reshape(-1, WIDTH).sum(0, dtype=torch.float32) * sign
            rest = flat[whole:].float()
            added[: rest.numel()] += rest * sign[: rest.numel()]
        norms = torch._foreach_norm([p if p.is_contiguous() else p.contiguous() for p in held])
        return added, torch.stack([n.float().square() for n in norms]).sum()

    def _of(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Signs of the projections and of the tensors, the same in every process."""
        if device not in self._signs:
            random = np.random.default_rng(0)
            rows = random.choice([-1.0, 1.0], (PROJECTIONS, WIDTH)).astype(np.float32)
            tensors = random.choice([-1.0, 1.0], (WIDTH, WIDTH)).astype(np.float32)
            self._signs[device] = (
                torch.from_numpy(rows).to(device),
                torch.from_numpy(tensors).to(device),
            )
        return self._signs[device]
