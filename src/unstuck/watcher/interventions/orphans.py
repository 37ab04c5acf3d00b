"""orphans/<optimizer>: trained parameters that no optimizer has join this one before it steps.

Orphans are parameters of the models known by then that have a gradient and belong to no optimizer
alive. They join the first parameter group, so that learning-rate schedules, which count the groups,
go on as they are. Under a gradient scaler they join after the first step, whose gradients it has
unscaled without them; a scaler of another optimizer says nothing. An optimizer that keeps a state
for each parameter from the start (Adagrad) is left alone.
"""

import gc
from typing import TypeVar

import torch
from torch.optim import Optimizer

from unstuck.changes import Change
from unstuck.watcher.intervention import Intervention, Interventions

T = TypeVar("T")


class Orphans(Intervention):
    kind = "orphans"
    order = -20  # before anything looks at the gradients of the optimizer

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._looked = False

    def gradients(self, name: str, optimizer: Optimizer) -> bool:
        if name == self.where and not self._looked and not _scaled(optimizer):
            self._adopt(optimizer)
        return True

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        if name == self.where and not self._looked:
            self._adopt(optimizer)

    def _adopt(self, optimizer: Optimizer) -> None:
        self._looked = True
        first_step = not _scaled(optimizer)
        if first_step and optimizer.state:
            return
        owned = {
            id(p)
            for one in _alive(Optimizer)
            for group in one.param_groups
            for p in group["params"]
        }
        orphans = {
            id(p): p
            for model in self.all.models.values()
            for p in model.parameters()
            if p.requires_grad and p.grad is not None and id(p) not in owned
        }
        if orphans:
            optimizer.param_groups[0]["params"].extend(orphans.values())
            self.applied()


def _scaled(optimizer: Optimizer) -> bool:
    """Whether a scaler steps this optimizer: it has looked for infinities in its gradients then."""
    scalers = [one for one in _alive(torch.amp.GradScaler) if one.is_enabled()]
    states = [one._per_optimizer_states.get(id(optimizer), {}) for one in scalers]
    return any(state.get("found_inf_per_device") for state in states)


def _alive(kind: type[T]) -> list[T]:
    """Every object of a class; its type is asked, since an object's own answer may do anything."""
    return [one for one in gc.get_objects() if issubclass(type(one), kind)]
