"""zero_grad/<optimizer>: its gradients are cleared after each of its steps and at no other time.

Whatever the script has cleared since the last backward pass (`zero_grad` of the optimizer or of a
module, `p.grad = None`, `p.grad.zero_()`) is there again when the next pass begins or the step
comes; a gradient that the script has altered in another way stays as it is. They are set to None
after a step, be it made, left out, or passed over by a gradient scaler that met an overflow. In a
game this keeps what the other player's loss has left in these parameters, too, until their step.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.changes import Change
from unstuck.watcher.first_sight import FirstSight
from unstuck.watcher.intervention import Intervention, Interventions
from unstuck.watcher.statistics import dense
from unstuck.watcher.terms import Terms


@dataclass(slots=True)
class Kept:
    """The gradient of a parameter as a backward pass left it."""

    parameter: Tensor
    gradient: Tensor
    version: int  # how often it had been written to
    copy: Tensor

    def cleared(self) -> bool:
        now = self.parameter.grad
        if now is None:
            return True
        written = now is self.gradient and now._version != self.version
        return written and bool(now.numel()) and not bool(dense(now.detach()).any())

    @torch.no_grad()
    def put_back(self) -> None:
        if self.gradient._version != self.version:
            self.gradient.copy_(self.copy)
        self.parameter.grad = self.gradient


class ZeroGrad(Intervention):
    kind = "zero_grad"
    order = 0  # of all the first to see a step's gradients and the last after it
    one_evaluation = True

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._optimizer = FirstSight(self.where)
        self._kept: list[Kept] = []

    def loss(self, name: str, terms: Terms) -> Tensor | None:
        self._put_back()
        return None

    def backward(self, name: str) -> None:
        self._kept = [
            Kept(p, p.grad, p.grad._version, p.grad.detach().clone())
            for p in self._parameters()
            if p.grad is not None
        ]

    def gradients(self, name: str, optimizer: Optimizer) -> bool:
        if name == self.where:
            self._put_back()
        return True

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        if name == self.where:
            self._clear()

    def skipped(self, optimizer: Optimizer) -> None:
        known = self._optimizer(self.all.optimizers, self.all.idle)
        if known is not None and known.param_groups is optimizer.param_groups:
            self._clear()

    def stop(self) -> None:
        self._kept = []

    def _put_back(self) -> None:
        for kept in self._kept:
            if kept.cleared():
                kept.put_back()

    def _clear(self) -> None:
        self._kept = []
        for p in self._parameters():
            p.grad = None
        self.applied()

    def _parameters(self) -> list[Tensor]:
        optimizer = self._optimizer(self.all.optimizers, self.all.idle)
        groups = optimizer.param_groups if optimizer is not None else []
        return [p for group in groups for p in group["params"]]
