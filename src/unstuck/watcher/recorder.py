"""Where the watching parts leave their readings: the store, the clock, and losses of this step."""

import time
from collections.abc import Callable, Mapping

from torch import Tensor

from unstuck.records import Scalar
from unstuck.watcher.clock import Clock
from unstuck.watcher.statistics import later, scalars
from unstuck.watcher.store import Reading, Store

FLUSH_STEPS = 64  # losses of so many steps leave the loop in one piece
FLUSH_SECONDS = 0.25


class Recorder:
    """Collects readings of the running step without waiting for any device."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = Clock()
        self.wall = time.time()
        self._losses: list[tuple[str, int, float, Tensor]] = []
        self._flushed = self._stepped = time.monotonic()
        self._timed_from = 0

    def loss(self, name: str, value: Tensor) -> None:
        """Keep the value of a loss; the mean is taken over those of one step."""
        self._losses.append((f"loss/{name}", self.clock.step, self.wall, value.detach()))

    def vector(
        self, values: list[Tensor], name: Callable[[list[float]], Mapping[str, float]]
    ) -> None:
        """Keep scalars that `name` turns into readings once they have been copied out."""
        if values:
            self.store.put(later(scalars(values), self.clock.step, self.wall, name))

    def numbers(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Keep plain numbers as readings of a step, by default of the running one."""
        at = self.clock.step if step is None else step
        readings = [(name, at, float(value), self.wall) for name, value in values.items()]
        self.store.put(lambda: readings)

    def note(self, facts: Mapping[str, Scalar]) -> None:
        self.store.note(facts)

    def new_step(self) -> None:
        """A step began: now and then hand over the losses and the time steps take."""
        self.wall = time.time()
        now = time.monotonic()
        waited = len(self._losses) >= FLUSH_STEPS or now - self._flushed > FLUSH_SECONDS
        step = self.clock.step
        if waited or step < 3:
            self.flush()
            self._flushed = now
            seconds = (now - self._stepped) / max(1, step - self._timed_from)
            self._stepped, self._timed_from = now, step
            self.numbers({"seconds/step": seconds}, step - 1)

    def flush(self) -> None:
        """Hand over the losses of all steps but none of the running one's later parts."""
        held, self._losses = self._losses, []
        if not held:
            return
        values = scalars([value for *_, value in held])

        def batch() -> list[Reading]:
            grouped: dict[tuple[str, int], tuple[float, list[float]]] = {}
            for (name, step, wall, _), value in zip(held, values.tolist(), strict=True):
                grouped.setdefault((name, step), (wall, []))[1].append(value)
            return [(n, s, sum(v) / len(v), w) for (n, s), (w, v) in grouped.items()]

        self.store.put(batch)
