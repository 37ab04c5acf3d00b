"""Do the gradients of two steps in a row agree, and how far does their noise lift the loss?

Two batches in a row at nearly the same weights: what their gradients share is the signal, the rest
is noise (McCandlish et al. 2018, appendix A, with steps for batches). Where noise rules, weights
wander about the minimum; near it the loss is higher by a quarter of gradient times the movement it
causes (Mandt, Hoffman & Blei 2017, for a quadratic loss and any diagonal preconditioner).
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.statistics import dense

MOST_NUMBERS = 1 << 13  # of a gradient that are compared: a cosine is within some 0.01
MOST_TENSORS = 256


class GradientNoise(Collector):
    """`gradient_agreement/<optimizer>` of a sampled step and the next; `noise_floor/<optimizer>`.

    The floor is read for SGD with or without momentum and for the family of Adam.
    """

    every_step = True

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._last: dict[str, tuple[int, Tensor]] = {}  # optimizer -> step, some of its gradient

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        last = self._last.pop(name, None) if self._last else None
        step, closely = self.recorder.clock.step, self.watched.closely
        self.rest(not closely and not self._last)
        if not closely and (last is None or last[0] != step - 1):
            return
        groups = [(group, _with_gradient(group)) for group in optimizer.param_groups]
        count = sum(p.numel() for _, held in groups for p in held)
        if not count:
            return
        every = max(1, count // MOST_NUMBERS) | 1  # odd: no row is aliased
        parts = [_some([p.grad for p in held], every) for _, held in groups if held]
        now = torch.cat(parts)
        if last is not None and last[0] == step - 1 and last[1].shape == now.shape:
            sizes = last[1].norm() * now.norm()
            cosine = torch.dot(last[1], now) / sizes.clamp_min(1e-30)
            agreement = f"gradient_agreement/{name}"
            self.recorder.vector([cosine], lambda values: {agreement: values[0]})
        if closely:
            self._last[name] = step, now
            moved = [
                self._movement(optimizer, group, held, part, every)
                for (group, held), part in zip((g for g in groups if g[1]), parts, strict=True)
            ]
            self._record_floor(name, [m for m in moved if m is not None], count / now.numel())

    def _record_floor(self, name: str, moved: list[Tensor], scale: float) -> None:
        if moved:
            floor = torch.stack(moved).sum() * (scale / 4)
            key = f"noise_floor/{name}"
            self.recorder.vector([floor], lambda values: {key: values[0]})

    def _movement(
        self, optimizer: Optimizer, group: Any, held: list[Tensor], part: Tensor, every: int
    ) -> Tensor | None:
        """Gradient times all the movement it causes, now and through momentum."""
        rate: float | Tensor = group.get("lr", 0.0)
        if isinstance(optimizer, torch.optim.SGD):
            still = max(1e-3, 1.0 - float(group["momentum"]))
            return torch.sum(part.square()) * rate / still
        squares = [optimizer.state.get(p, {}).get("exp_avg_sq") for p in held]
        if "betas" not in group or any(
            s is None or s.shape != p.shape for s, p in zip(squares, held, strict=True)
        ):
            return None
        steps = self.recorder.clock.step + 1
        unbiased = max(1e-12, 1 - float(group["betas"][1]) ** steps)
        scale = (_some(squares, every) / unbiased).sqrt() + group.get("eps", 1e-8)
        return torch.sum(part.square() / scale) * rate


def _with_gradient(group: Any) -> list[Tensor]:
    held = [p for p in group["params"] if p.grad is not None and not p.grad.is_sparse]
    return held[:MOST_TENSORS]


def _some(tensors: list[Any], every: int) -> Tensor:
    """Some numbers of these tensors, always the same ones."""
    return torch.cat([dense(t.detach()).reshape(-1)[::every].float() for t in tensors])
