"""lr/<optimizer>: every group's learning rate, put back after each step.

A number is the rate that the optimizer is made with: a schedule of the script keeps its shape, and
each group gets the number times what the schedule has made of its rate so far. A multiple (`x0.1`)
is one of whatever the rate is at each step.
"""

from torch.optim import Optimizer

from unstuck.changes import Change
from unstuck.watcher.group_values import GroupValue, RatesMadeWith
from unstuck.watcher.intervention import Interventions


class LearningRate(GroupValue):
    kind = "lr"
    key = "lr"
    order = 2  # of what the schedule has made

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._rates = RatesMadeWith()

    def start(self) -> None:
        self._rates.start()

    def stop(self) -> None:
        super().stop()
        self._rates.stop()

    def value(self, optimizer: Optimizer, index: int, present: float) -> float:
        made = self._rates.of(optimizer, index)
        if self.change.multiple or made == present or made == 0:
            return self.change.of(present)
        return self.change.value * (present / made)
