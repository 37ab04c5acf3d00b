"""What a trial may use: places, time, runs. No part of the plan, so a resumed trial may have more.

`Resources` is what was asked for, `Budget` what is left of it while the trial runs. A budget that
is spent ends the trial in order: what is finished is kept, what is missing is named.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from unstuck.trials.plan import PlanError


@dataclass(frozen=True, slots=True)
class Resources:
    """What the runs of a trial may use. Raises PlanError for what makes no sense.

    workers: runs at a time on this machine; None: the cores, or 1 where they may train on a GPU.
        Fewer where memory is short.
    ray: address of a Ray cluster ("auto", "host:port"); gpus: share of a GPU for each run there.
    seconds, runs: what this call may spend at most; None: whatever it takes.
    cache: whether finished runs of the same code, recipe and seed are used again, and kept.
    """

    workers: int | None = None
    ray: str = ""
    gpus: float = 0.0
    seconds: float | None = None
    runs: int | None = None
    cache: bool = True

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("runs", 1)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise PlanError(f"{name} must be a whole number, not {value!r}")
            if value is not None and value < least:
                raise PlanError(f"{name} must be at least {least}, not {value}")
        for name in ("seconds", "gpus"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float)
            ):
                raise PlanError(f"{name} must be a number, not {value!r}")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise PlanError(f"seconds must be above 0, not {self.seconds}")
        if not 0 <= self.gpus < math.inf:
            raise PlanError(f"gpus must be 0 or more, not {self.gpus}")
        if self.gpus and not self.ray:
            raise PlanError("gpus shares out the GPUs of a Ray cluster: give its address with ray")


class Budget:
    """Seconds and runs that may still be spent, counted from the moment it is made."""

    def __init__(
        self,
        seconds: float | None = None,
        runs: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds, self._runs, self._clock = seconds, runs, clock
        self._begun_at = clock()
        self._begun = 0
        self._took: list[float] = []

    def begin(self) -> None:
        """A run begins."""
        self._begun += 1

    def took(self, seconds: float) -> None:
        """A run has ended after so many seconds."""
        self._took.append(seconds)

    @property
    def seconds_left(self) -> float:
        if self._seconds is None:
            return math.inf
        return self._seconds - (self._clock() - self._begun_at)

    @property
    def over(self) -> bool:
        """The time is up: what still runs is to be ended."""
        return self.seconds_left <= 0

    def spent(self) -> str:
        """Why no further run may begin; nothing while one may.

        One that would not end in time, were it as long as the runs so far, is not begun.
        """
        if self._runs is not None and self._begun >= self._runs:
            return f"{self._runs} run{'s' * (self._runs != 1)}"
        expected = sum(self._took) / len(self._took) if self._took else 0.0
        if self._seconds is not None and self.seconds_left <= expected:
            return f"{self._seconds:g} s"
        return ""
