"""lr/<optimizer>: every group's learning rate, put back after each step.

A number is the rate that the optimizer is made with: a schedule of the script keeps its shape, and
each group gets the number times what the schedule has made of its rate so far. A multiple (`x0.1`)
is one of whatever the rate is at each step.
"""

from torch.optim import Optimizer

from unstuck.watcher.group_values import Rate


class LearningRate(Rate):
    kind = "lr"
    order = 2  # of what the schedule has made

    def value(self, optimizer: Optimizer, index: int, present: float) -> float:
        made = self.made_with.of(optimizer, index)
        if self.change.multiple or made == present or made == 0:
            return self.change.of(present)
        return self.change.value * (present / made)
