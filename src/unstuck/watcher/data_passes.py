"""Whole passes through a data set, told from the iterators of torch's DataLoader.

A pass counts where training steps were made in it and it came to its last batch: validations,
`next(iter(loader))` and epochs that are cut off do not. Data sets are told apart, so that shards of
one epoch are not taken for epochs.
"""

import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from unstuck.watcher import loader_batches

MOST = 64  # iterators that have begun and not ended


class DataPasses:
    """Counts from its making on, in the thread that made it."""

    def __init__(self, step: Callable[[], int]) -> None:
        self._step, self._thread = step, threading.get_ident()
        self._begun: dict[int, tuple[int, int]] = {}  # iterator -> step at its first batch, batches
        self._passes: dict[int, tuple[weakref.ref[Any], int]] = {}  # id of the data -> it, passes
        self.used = False  # steps were made between two batches of one iterator
        self.stop = loader_batches.listen(self._heard)

    def counted(self) -> dict[int, int]:
        """Passes so far by data set."""
        return {data: count for data, (_, count) in self._passes.items()}

    def most_since(self, before: Mapping[int, int]) -> int:
        """Passes through the data set that was passed most often since `counted` gave `before`."""
        since = (count - before.get(data, 0) for data, count in self.counted().items())
        return max(since, default=0)

    def _heard(self, loader: Any, seconds: float, ended: bool) -> None:
        if threading.get_ident() != self._thread:
            return
        step, key, yielded = self._step(), id(loader), getattr(loader, "_num_yielded", 0)
        if not ended and yielded == 1:
            self._begun.pop(key, None)
            self._begun[key] = step, _batches(loader)
            if len(self._begun) > MOST:
                del self._begun[next(iter(self._begun))]
            return
        began, batches = self._begun.get(key, (step, 0))
        if step > began:
            self.used = True
            if ended or yielded == batches:  # whoever knows the length does not ask for more
                self._count(_data(loader))
        if ended or yielded == batches:
            self._begun.pop(key, None)

    def _count(self, data: Any) -> None:
        if data is None:
            return
        known, count = self._passes.get(id(data), (None, 0))
        if known is None or known() is not data:  # another one at the address of one that is gone
            known, count = weakref.ref(data), 0
        self._passes[id(data)] = known, count + 1


def _batches(loader: Any) -> int:
    """How many a pass has; 0 where that is not known before its end."""
    try:
        return len(loader)
    except Exception:  # whatever a sampler of the user's says to being asked
        return 0


def _data(loader: Any) -> Any:
    """What tells one data set from another: itself, or the sampler where it cannot be followed."""
    for name in ("_dataset", "_index_sampler"):
        data = getattr(loader, name, None)
        if data is not None and type(data).__weakrefoffset__:
            return data
    return None
