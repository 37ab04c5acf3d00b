"""clip/<optimizer>: the largest norm of its gradients, or none of the script's own clipping.

A number: just before the step, all its gradients together are scaled down to this L2 norm
(`torch.nn.utils.clip_grad_norm_`), after the script's own clipping, accumulation and the check for
finite numbers. The script's own clipping stays: a number above it changes nothing.

'off': what `torch.nn.utils.clip_grad_norm_` and `clip_grad_value_` do to the gradients of this
optimizer is undone; they return what they would, and other optimizers' gradients are clipped.
Clipping that a script writes out by hand (`p.grad.clamp_`) is out of reach.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.clip_grad import clip_grad_norm_
from torch.optim import Optimizer

from unstuck.changes import Change
from unstuck.watcher.first_sight import FirstSight
from unstuck.watcher.intervention import Intervention, Interventions

FUNCTIONS = ("torch.nn.utils.clip_grad_norm_", "torch.nn.utils.clip_grad_value_")
Before = dict[Tensor, tuple[Tensor, Tensor]]  # parameter -> its gradient, and what that was


class Clip(Intervention):
    kind = "clip"
    order = 30  # after what makes the gradient, before a step is left out

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self.one_evaluation = not change.word
        self._optimizer = FirstSight(self.where)
        self._undecided: dict[Tensor, tuple[Tensor, Tensor, int]] = {}

    def start(self) -> None:
        if self.change.word:
            self.all.calls.functions.alter(self.change.name, FUNCTIONS, self._call)

    def stop(self) -> None:
        if self.change.word:
            self.all.calls.functions.stop(self.change.name)
        self._undecided = {}

    def gradients(self, name: str, optimizer: Optimizer) -> bool:
        if name != self.where:
            return True
        params = [p for group in optimizer.param_groups for p in group["params"]]
        if not self.change.word:
            clip_grad_norm_(params, self.change.value)
            self.applied()
        elif self._undecided:
            self._decide(params)
        return True

    def _call(
        self,
        original: Any,
        make: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        given = args[0] if args else options.get("parameters")
        if not isinstance(given, Tensor) and isinstance(given, Iterable):
            given = list(given)  # it may be a generator
        args, options = (
            ((given, *args[1:]), options) if args else ((), {**options, "parameters": given})
        )
        before = self.all.guarded(self._copies, given)
        result = make(*args, **options)
        if before:
            self.all.guarded(self._undo, before)
        return result

    def _copies(self, given: Any) -> Before:
        params = [given] if isinstance(given, Tensor) else given
        optimizer = self._optimizer(self.all.optimizers, self.all.idle)
        if optimizer is not None:
            own = {id(p) for group in optimizer.param_groups for p in group["params"]}
            params = [p for p in params if id(p) in own]
        return {p: (p.grad, p.grad.detach().clone()) for p in params if p.grad is not None}

    def _undo(self, before: Before) -> None:
        """Undo the clipping of this optimizer's, or wait until it is known which they are."""
        if self._optimizer(self.all.optimizers, self.all.idle) is None:
            self._undecided = {p: (g, copy, g._version) for p, (g, copy) in before.items()}
            return
        _restore(before)
        self.applied()

    def _decide(self, params: list[Tensor]) -> None:
        """The optimizer steps for the first time: its gradients were clipped before that."""
        undecided, self._undecided = self._undecided, {}
        mine = {
            p: (gradient, copy)
            for p, (gradient, copy, version) in undecided.items()
            if any(p is own for own in params) and gradient._version == version
        }
        if mine:
            _restore(mine)
            self.applied()


@torch.no_grad()
def _restore(before: Before) -> None:
    for gradient, copy in before.values():
        gradient.copy_(copy)
