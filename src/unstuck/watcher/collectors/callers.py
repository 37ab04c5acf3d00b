"""Who called a model: the function that makes the loss, for `unstuck.watcher.callers`."""

import sys
from typing import Any

from torch import nn
from torch.optim import Optimizer

from unstuck.watcher.callers import callers
from unstuck.watcher.collector import Collector

OURS = 3  # frames of the watcher between a collector and a hook's caller


class Callers(Collector):
    """Keeps the frames of functions that call modules, until the backward pass or the step."""

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        callers.see(sys._getframe(OURS))

    def before_step(self, name: str, optimizer: Optimizer) -> None:
        callers.take()

    def close(self) -> None:
        callers.take()
