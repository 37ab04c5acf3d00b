"""interval/<optimizer>: of the steps that come to it only the first of every k is taken.

One that is left out changes neither the weights, nor momentum, nor what else the optimizer keeps;
its gradients are there again after it, for the script to clear. Schedules go on. A step that is
left out for another reason (gradients being accumulated, or not finite) is none of the k.
"""

from torch.optim import Optimizer

from unstuck.changes import Change
from unstuck.watcher.intervention import Intervention, Interventions


class Interval(Intervention):
    kind = "interval"
    order = 40  # after all that looks at gradients
    one_evaluation = True

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._steps = 0

    def gradients(self, name: str, optimizer: Optimizer) -> bool:
        if name != self.where:
            return True
        self.applied()
        self._steps += 1
        return (self._steps - 1) % int(self.change.value) == 0
