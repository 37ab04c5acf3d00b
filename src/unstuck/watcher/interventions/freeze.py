"""freeze/<model or layer>: its parameters are not trained, as after `requires_grad_(False)`.

They are switched off before the model's first forward pass, so that no gradient, no momentum and no
weight decay reaches them; once the watching ends they are as the script left them.
"""

from torch import nn

from unstuck.changes import Change
from unstuck.watcher.intervention import Intervention, Interventions
from unstuck.watcher.model_calls import part_named


class Freeze(Intervention):
    kind = "freeze"

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._frozen: list[nn.Parameter] = []

    def model(self, name: str, model: nn.Module) -> None:
        part = part_named(self.where, name, model)
        trained = [p for p in part.parameters() if p.requires_grad] if part is not None else []
        for parameter in trained:
            parameter.requires_grad_(False)
        self._frozen += trained
        if trained:
            self.applied()

    def stop(self) -> None:
        for parameter in self._frozen:
            parameter.requires_grad_(True)
