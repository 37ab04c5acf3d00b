"""input/<model>: what the model is called with first gets mean 0 and standard deviation 1.

Mean and deviation are those of the first batch: of each feature of a table (n, features), of each
channel of anything larger (n, channels, ...). A feature that does not vary in that batch is only
centred, and nothing gets further from zero than `FURTHEST` deviations, since a deviation that is
measured in one batch can be far too small. Training and evaluation are treated alike.
"""

from typing import Any

import torch
from torch import Tensor, nn

from unstuck.changes import Change
from unstuck.watcher.intervention import Interventions
from unstuck.watcher.model_calls import OfCalls

FURTHEST = 10.0  # standard deviations; a normal feature reaches 4.5 in 100,000 samples


class Input(OfCalls):
    kind = "input"

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._entry: nn.Module | None = None

    def before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        first = args[0] if args else None
        if not isinstance(first, Tensor) or not first.is_floating_point() or first.ndim < 2:
            return None
        if self._entry is None:  # where parts are called alone, the first of them sees the data
            self._entry = module
            self._mean, self._scale = _statistics(first.detach())
        if module is not self._entry or first.shape[1] != self._mean.shape[1]:
            return None
        self.applied()
        shape = (1, -1, *(1,) * (first.ndim - 2))
        centred = (first - self._mean.view(shape).to(first)) / self._scale.view(shape).to(first)
        return (centred.clamp(-FURTHEST, FURTHEST), *args[1:])


def _statistics(batch: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation, each (1, features or channels); 1 for what does not vary."""
    rows = batch.double().transpose(0, 1).flatten(1)
    mean, deviation = rows.mean(1), rows.std(1, unbiased=False)
    deviation = torch.where(deviation > 1e-12 * mean.abs(), deviation, torch.ones_like(deviation))
    return mean[None], deviation[None]
