"""accumulation/<optimizer>: gradients of several backward passes, averaged.

A count k: the gradients that the script has at k successive steps are averaged, and one step is
made with the average; the others are left out (weights and optimizer's state untouched). Schedules
go on at every step of the script. The script's own clipping comes before.

'mean': where a script sums up the gradients of several passes before a step, they are divided by
the number of passes, after each pass: what the script then clips or reads is the average so far.
Passes count from when the gradients were None or zero to the step, and those only that reach this
optimizer; what comes between the step and the next clearing is nobody's average.
"""

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.changes import Change
from unstuck.watcher.first_sight import FirstSight
from unstuck.watcher.intervention import Intervention, Interventions
from unstuck.watcher.statistics import dense
from unstuck.watcher.terms import Terms

Left = list[tuple[int, int]]  # gradients, and how often each had been written to


class Accumulation(Intervention):
    kind = "accumulation"
    order = 10  # first of what looks at the gradients of a step

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self.one_evaluation = not change.word
        self._sums: dict[Tensor, Tensor] = {}
        self._steps = 0  # in the sums
        self._own: list[tuple[Tensor, Tensor | None]] = []  # the script's, while the average stands
        self._optimizer = FirstSight(self.where)
        self._passes = 0  # in the average so far
        self._stepped = False  # since the gradients were cleared
        self._left: Left = []  # by the last pass that was looked at
        self._begun: Left = []  # by the time the running pass began

    def loss(self, name: str, terms: Terms) -> Tensor | None:
        if self.change.word:
            held = self._gradients()
            if _versions(held) != self._left and not any_nonzero(held):
                self._passes, self._stepped = 0, False
            _scale(held, float(self._passes))
            self._begun = _versions(held)
        return None

    def backward(self, name: str) -> None:
        if self.change.word:
            held = self._gradients()
            if _versions(held) != self._begun and not self._stepped:
                self._passes += 1
            _scale(held, 1.0 / max(1, self._passes))
            self._left = _versions(held)
            if self._passes > 1:
                self.applied()

    def gradients(self, name: str, optimizer: Optimizer) -> bool:
        if name != self.where or self.change.word:
            return True
        self.applied()
        params = [p for group in optimizer.param_groups for p in group["params"]]
        for p in params:
            if p.grad is not None:
                _add(self._sums, p)
        self._steps += 1
        if self._steps < self.change.value:
            return False
        self._own = [(p, p.grad) for p in params]
        for p in params:
            p.grad = self._sums[p].div_(self._steps) if p in self._sums else None
        self._sums, self._steps = {}, 0
        return True

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        if name == self.where:
            self._give_back()
            self._passes, self._stepped = 0, True

    def stop(self) -> None:
        self._give_back()
        self._sums = {}

    def _give_back(self) -> None:
        for p, gradient in self._own:
            p.grad = gradient
        self._own = []

    def _gradients(self) -> list[Tensor]:
        optimizer = self._optimizer(self.all.optimizers, self.all.idle)
        groups = optimizer.param_groups if optimizer is not None else []
        return [p.grad for group in groups for p in group["params"] if p.grad is not None]


def _add(sums: dict[Tensor, Tensor], parameter: Tensor) -> None:
    gradient = parameter.grad
    assert gradient is not None
    gradient = gradient.detach()
    sums[parameter] = sums[parameter] + gradient if parameter in sums else gradient.clone()


def _versions(gradients: list[Tensor]) -> Left:
    return [(id(g), g._version) for g in gradients]


@torch.no_grad()
def _scale(gradients: list[Tensor], factor: float) -> None:
    if gradients and factor not in (0.0, 1.0):
        torch._foreach_mul_(gradients, factor)


def any_nonzero(gradients: list[Tensor]) -> bool:
    largest = [dense(g.detach()).abs().amax() for g in gradients if g.numel()]
    return bool(largest) and any(bool(x != 0) for x in largest)
