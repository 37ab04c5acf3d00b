"""schedule/<optimizer>: 'constant', 'cosine:STEPS' or 'linear:STEPS' in place of the script's own.

Every group has the rate that it was made with (of OneCycleLR and CyclicLR: the highest one), times
1, half a cosine or a line that reaches 0 after STEPS of the optimizer's steps and stays there. The
script's scheduler goes on and reaches nobody. Steps that are left out count, as a schedule's do.
"""

import math

from torch.optim import Optimizer

from unstuck.changes import Change
from unstuck.watcher.group_values import Rate
from unstuck.watcher.intervention import Interventions


class Schedule(Rate):
    kind = "schedule"
    order = 1  # before the changes that multiply it

    def __init__(self, change: Change, interventions: Interventions) -> None:
        super().__init__(change, interventions)
        self._shape, _, steps = change.word.partition(":")
        self._length = int(steps or 1)

    def value(self, optimizer: Optimizer, index: int, present: float) -> float:
        made = self.made_with.of(optimizer, index)
        return made * shape(self._shape, min(1.0, self.steps / self._length))


def shape(name: str, passed: float) -> float:
    """The share of the rate after this share of the schedule.

    >>> [shape(name, 0.5) for name in ("constant", "linear", "cosine")]
    [1.0, 0.5, 0.5]
    """
    if name == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * passed))
    return 1.0 - passed if name == "linear" else 1.0
