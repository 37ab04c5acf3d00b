"""mode/<model>: training mode while gradients are recorded, evaluation mode while they are not.

The mode is set where the model is called, or a part of it alone, from its first training pass on.
"""

from typing import Any

import torch
from torch import nn

from unstuck.changes import Change
from unstuck.watcher.intervention import Intervention, Interventions
from unstuck.watcher.model_calls import ModelCalls


class Mode(Intervention):
    kind = "mode"

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._calls = ModelCalls(self._before, interventions.guarded)

    def start(self) -> None:
        self._calls.start()

    def stop(self) -> None:
        self._calls.stop()

    def model(self, name: str, model: nn.Module) -> None:
        if name == self.where:
            self._model = model
            self._calls.of(model)

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        wanted = torch.is_grad_enabled()
        if any(m.training is not wanted for m in self._model.modules()):
            self._model.train(wanted)
            self.applied()
