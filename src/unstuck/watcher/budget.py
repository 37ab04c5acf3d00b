"""What watching may cost: a share of the time training takes, and a little to begin with."""

import time
from collections.abc import Callable

SHARE = 0.02  # of the time that passes, where nobody asks for another
GRACE = 0.05  # seconds of our own: a training of some 1,000 short steps is slowed by 5 %


class Budget:
    """Counts the processor time of watching against a share of the time that has passed.

    Processor time, because on a busy machine time passes for nothing: of the training's thread on
    sampled steps and the ones after them, and of the writer's (`beside`). What costs more than is
    left is spent all the same, once: the debt is paid off before the next.
    """

    def __init__(self, share: float) -> None:
        if not 0 < share < 1:
            raise ValueError(f"budget={share}: give a share of the step time, such as 0.02")
        self.share = share
        self.spent = 0.0
        self.beside: Callable[[], float] = float  # seconds used in another thread
        self._began = time.monotonic()

    def spend(self, seconds: float) -> None:
        self.spent += seconds

    def leave_out(self, seconds: float) -> None:
        """So much time has passed that is not the training's."""
        self._began += seconds

    def affords(self) -> bool:
        """Whether all that was spent lies within what has been allowed up to now."""
        return self.spent + self.beside() <= GRACE + self.share * (time.monotonic() - self._began)
