"""Is what is being trained in training mode?"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.mode_dependent import with_owners

MOST_CALLS = 64  # modules called from outside in one step that are looked at


@dataclass(slots=True)
class Call:
    """A module that was called from outside, and whether any of it was in training mode."""

    model: str
    module: nn.Module
    training: bool


class Modes(Collector):
    """`mode/<model>/...` of models to which it matters: dropout, running statistics.

    A model is in evaluation mode where all of it is, at every call of the step: a frozen backbone
    inside a model in training mode is no case of it, nor are statistics frozen layer by layer.
    """

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._calls: dict[int, Call] = {}  # of the running step
        self._new: dict[int, Call] = {}  # since the last backward pass: maybe of the next step
        self._step = -1

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if not outermost or len(self._new) >= MOST_CALLS:
            return
        model = name.split(".", 1)[0]
        whole = self.watched.modules.models.get(model, module)
        training = whole.training or any(m.training for m in module.modules())
        call = self._new.setdefault(id(module), Call(model, module, training))
        call.training |= training

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        step = self.recorder.clock.step
        if step != self._step:
            self._calls, self._step = {}, step
        for key, call in self._new.items():
            known = self._calls.setdefault(key, call)
            known.training |= call.training
        self._new = {}

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        groups = optimizer.param_groups
        trained = {id(p) for group in groups for p in group["params"] if p.grad is not None}
        found: dict[str, list[tuple[nn.Module, bool]]] = {}
        for call in self._calls.values():
            for part, owners in with_owners(call.module):
                if any(id(p) in trained for p in owners):
                    found.setdefault(call.model, []).append((part, call.training))
        readings = {}
        for model, parts in found.items():
            readings[f"mode/{model}/evaluation"] = float(not any(on for _, on in parts))
            keeping = [part for part, _ in parts if isinstance(part, _BatchNorm)]
            if keeping:
                frozen = sum(part.training and part.momentum == 0 for part in keeping)
                readings[f"mode/{model}/frozen"] = frozen / len(keeping)
        self.recorder.numbers(readings)
