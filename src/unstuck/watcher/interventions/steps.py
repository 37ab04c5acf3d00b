"""steps/<optimizer>: an optimizer that never steps does so after each pass that reaches it.

A backward pass reaches it where it leaves a gradient in one of its parameters; after the step these
are cleared. An optimizer that the script does step, too, is left alone from then on.
"""

from torch.optim import Optimizer

from unstuck.changes import Change
from unstuck.watcher.intervention import Intervention, Interventions


class Steps(Intervention):
    kind = "steps"
    order = 5  # its step is made when the averaging has seen the pass

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._optimizer: Optimizer | None = None
        self._stepping = self._not_needed = False

    def backward(self, name: str) -> None:
        if self._optimizer is None:
            self._optimizer = self.all.idle().get(self.where)
            if self._optimizer is not None:
                self.all.know(self.where, self._optimizer)
        optimizer = self._optimizer
        if optimizer is None or self._not_needed:
            return
        held = [p for group in optimizer.param_groups for p in group["params"]]
        if any(p.grad is not None for p in held):
            self._stepping = True
            optimizer.step()
            self._stepping = False
            for parameter in held:
                parameter.grad = None
            self.applied()

    def opened(self, name: str, optimizer: Optimizer) -> None:
        if optimizer is self._optimizer and not self._stepping:
            self._not_needed = True
