"""warmup/<optimizer>: step n of the first STEPS has (n + 1) / STEPS of the learning rate.

It multiplies whatever rate the script, its schedule and other changes give. Steps that are left
out count, as a schedule's do; a run that goes on from a checkpoint begins anew.
"""

from torch.optim import Optimizer

from unstuck.watcher.group_values import GroupValue


class Warmup(GroupValue):
    kind = "warmup"
    key = "lr"
    order = 3  # of what schedule and rate have made

    def value(self, optimizer: Optimizer, index: int, present: float) -> float:
        return present * min(1.0, (self.steps + 1) / self.change.value)
