"""Values of parameter groups (learning rate, weight decay) that stand for the length of a step."""

import functools
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.changes import Change
from unstuck.watcher.intervention import Intervention, Interventions

Group = dict[str, Any]


class GroupValue(Intervention):
    """One value of every group of one optimizer: set where a step begins, put back after it.

    Between steps the script, its scheduler and a checkpoint see the script's own value. Several
    such changes build on each other, the one with the lowest `order` first.
    """

    key = ""

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self.steps = 0  # of this optimizer that have begun before the running one
        self._before: list[tuple[Group, Any]] = []
        self._passed_over: list[Optimizer] = []  # for each step that a gradient scaler left out

    def value(self, optimizer: Optimizer, index: int, present: float) -> float:
        """What stands in the group with this index for the running step."""
        raise NotImplementedError

    def opened(self, name: str, optimizer: Optimizer) -> None:
        if name != self.where:
            return
        self.steps += sum(each is optimizer for each in self._passed_over)
        self._passed_over = []
        groups = optimizer.param_groups
        if not all(self.key in group for group in groups):
            self.refuse(f"{type(optimizer).__name__} has no {self.key}")
            return
        values = [self.value(optimizer, i, float(g[self.key])) for i, g in enumerate(groups)]
        self._before = [(group, group[self.key]) for group in groups]
        for group, value in zip(groups, values, strict=True):
            group[self.key] = _like(group[self.key], value)
        self.applied()

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        if name == self.where:
            self._put_back()
            self.steps += 1

    def skipped(self, optimizer: Optimizer) -> None:
        self._passed_over.append(optimizer)

    def stop(self) -> None:
        self._put_back()

    def _put_back(self) -> None:
        for group, value in self._before:
            group[self.key] = value
        self._before = []


class RatesMadeWith:
    """The learning rate that each group of an optimizer was made with, before any schedule.

    A group that was made before `start` gives what its scheduler began with, else its rate when it
    is first asked for. Where a scheduler rises to a rate of its own (OneCycleLR, CyclicLR), that.
    """

    def __init__(self) -> None:
        self._made: weakref.WeakKeyDictionary[Optimizer, list[float]] = weakref.WeakKeyDictionary()
        self._original = Optimizer.add_param_group

    def start(self) -> None:
        original = self._original = Optimizer.add_param_group

        @functools.wraps(original)
        def add_param_group(optimizer: Optimizer, param_group: Group) -> None:
            original(optimizer, param_group)
            made = self._made.setdefault(optimizer, [])
            if len(made) == len(optimizer.param_groups) - 1:
                made.append(_rate(optimizer.param_groups[-1]))

        Optimizer.add_param_group = add_param_group  # type: ignore[method-assign,assignment]

    def stop(self) -> None:
        Optimizer.add_param_group = self._original  # type: ignore[method-assign]

    def of(self, optimizer: Optimizer, index: int) -> float:
        """Of the group with this index."""
        group = optimizer.param_groups[index]
        if "max_lr" in group:
            return float(group["max_lr"])
        made = self._made.setdefault(optimizer, [])
        for later in optimizer.param_groups[len(made) :]:
            made.append(float(later.get("initial_lr", _rate(later))))
        return made[index]


class Rate(GroupValue):
    """A learning rate that is told from what the optimizer was made with."""

    key = "lr"

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self.made_with = RatesMadeWith()

    def start(self) -> None:
        self.made_with.start()

    def stop(self) -> None:
        super().stop()
        self.made_with.stop()


def _like(present: float | Tensor, value: float) -> float | Tensor:
    return torch.full_like(present, value) if isinstance(present, Tensor) else value


def _rate(group: Group) -> float:
    return float(group.get("lr", 0.0))
