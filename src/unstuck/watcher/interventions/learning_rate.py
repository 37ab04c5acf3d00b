"""lr/<optimizer>: every group's rate for the length of a step, put back after it."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.watcher.intervention import Intervention


class LearningRate(Intervention):
    kind = "lr"

    def opened(self, name: str, optimizer: Optimizer) -> None:
        if name != self.where:
            return
        self.before = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            present: float | Tensor = group["lr"]
            group["lr"] = (
                torch.full_like(present, self.change.of(float(present)))
                if isinstance(present, Tensor)
                else self.change.of(present)
            )
        self.applied()

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        if name == self.where:
            for group, rate in zip(optimizer.param_groups, self.before, strict=True):
                group["lr"] = rate
