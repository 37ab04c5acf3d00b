"""A scheduler as it is followed: it may go when its function ends, before the run does."""

import weakref
from typing import Any

from torch.optim.lr_scheduler import LRScheduler

COUNTERS = ("last_epoch", "_step_count", "T_cur")  # some step of every kind changes one of them


class HeldSchedule:
    """What a scheduler holds, also after it is gone, and whether it has been stepped."""

    def __init__(self, scheduler: LRScheduler) -> None:
        self._weak = weakref.ref(scheduler)
        self._kind, self._state = type(scheduler), vars(scheduler)
        self._first = self._counters()
        begun = self._state.get("last_epoch", 0) > 0 or self._state.get("_step_count", 0) > 1
        self._begun = bool(begun)  # stepped before it was met, or resumed

    @property
    def alive(self) -> LRScheduler | None:
        """Itself, until it is gone."""
        return self._weak()

    @property
    def stepped(self) -> bool:
        """Whether it is beyond its first value."""
        return self._begun or self._counters() != self._first

    def again(self) -> LRScheduler:
        """One of the same kind that holds the same."""
        copy = object.__new__(self._kind)
        vars(copy).update(self._state)
        return copy

    def _counters(self) -> tuple[Any, ...]:
        return tuple(self._state.get(name) for name in COUNTERS)
