"""mode/<model>: training mode while gradients are recorded, evaluation mode while they are not.

The mode is set where the model is called, or a part of it alone, from its first training pass on.
"""

from typing import Any

import torch
from torch import nn

from unstuck.watcher.model_calls import OfCalls


class Mode(OfCalls):
    kind = "mode"

    def before(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        wanted = torch.is_grad_enabled()
        if any(m.training is not wanted for m in self.called.modules()):
            self.called.train(wanted)
            self.applied()
