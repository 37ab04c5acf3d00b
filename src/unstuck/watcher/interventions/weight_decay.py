"""weight_decay/<optimizer>: the weight decay of its groups, put back after each step.

A group that the script keeps free of decay (0, as biases and norms often are) while another group
decays stays free of it.
"""

from torch.optim import Optimizer

from unstuck.watcher.group_values import GroupValue


class WeightDecay(GroupValue):
    kind = "weight_decay"
    key = "weight_decay"

    def value(self, optimizer: Optimizer, index: int, present: float) -> float:
        spared = present == 0 and any(group[self.key] for group in optimizer.param_groups)
        return present if spared else self.change.of(present)
