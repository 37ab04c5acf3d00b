"""What counts as a training step, told from backward passes and optimizer steps alone.

A step ends when a loss that was already seen in it comes again after some optimizer has stepped,
or when an optimizer steps twice. So micro-batches accumulated before one step, the closures of
L-BFGS, and the two halves of an adversarial game each count as one step.
"""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Clock:
    """Counts steps from 0. `backward` and `stepped` tell whether a new step has begun."""

    step: int = 0
    inside: bool = False  # an optimizer's step runs: backward passes in it belong to it
    updates: int = 0  # steps of optimizers
    _seen: dict[str, int] = field(default_factory=dict)
    _stepped: set[int] = field(default_factory=set)

    def backward(self, loss: str) -> bool:
        """Note a backward pass of a loss; True where it opens a new step."""
        new = not self.inside and loss in self._seen and self.updates > self._seen[loss]
        if new:
            self._advance()
        self._seen[loss] = self.updates
        return new

    def stepped(self, optimizer: int) -> bool:
        """Note a step of an optimizer (by id); True where it opens a new step."""
        new = optimizer in self._stepped
        if new:
            self._advance()
        self._stepped.add(optimizer)
        self.updates += 1
        return new

    def _advance(self) -> None:
        self.step += 1
        self._seen.clear()
        self._stepped.clear()


class WallClock:
    """Wall time that never goes back nor leaps: the time of the start plus what has passed since.

    Where the system knows it, time spent suspended counts as passed.
    """

    def __init__(self) -> None:
        self._started = time.time()
        self._passed = self._elapsed()

    def __call__(self) -> float:
        return self._started + self._elapsed() - self._passed

    @staticmethod
    def _elapsed() -> float:
        with_suspend = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if with_suspend is None else time.clock_gettime(with_suspend)
