"""finite/<optimizer>: a step whose gradient holds NaN or infinity is left out.

Looked at after accumulation and before clipping, which would spread one bad number to all. Waits
for the device once a step.
"""

import torch
from torch.optim import Optimizer

from unstuck.watcher.intervention import Intervention
from unstuck.watcher.statistics import dense


class Finite(Intervention):
    kind = "finite"
    order = 20  # after what makes the gradient, before what looks at its size
    one_evaluation = True

    def gradients(self, name: str, optimizer: Optimizer) -> bool:
        if name != self.where:
            return True
        self.applied()
        held = [p.grad for group in optimizer.param_groups for p in group["params"]]
        numbers = [dense(g.detach()) for g in held if g is not None and g.numel()]
        if not numbers:
            return True
        # the largest number of each: finite where all are, while a sum of squares may overflow
        largest = torch._foreach_norm(numbers, float("inf"))
        on_one = torch.stack([n.to(largest[0].device, torch.float32) for n in largest])
        return bool(torch.isfinite(on_one).all())
