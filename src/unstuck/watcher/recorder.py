"""Where the watching parts leave their readings: the store, the clock, and values of this step."""

import time
from collections.abc import Callable, Mapping

from torch import Tensor

from unstuck.records import Scalar
from unstuck.watcher.budget import Budget
from unstuck.watcher.clock import Clock, WallClock
from unstuck.watcher.noise import Noise
from unstuck.watcher.readback import reader
from unstuck.watcher.schedule import Schedule
from unstuck.watcher.store import Reading, Store

FLUSH_STEPS = 64  # losses of so many steps leave the loop in one piece
FLUSH_SECONDS = 0.25
MOST_LOSSES = 4096  # kept in one step; from there on its mean is that of the last ones

Naming = Callable[[list[float]], Mapping[str, float]]  # in the writer's thread


class Recorder:
    """Collects readings of the running step without waiting for any device."""

    def __init__(self, store: Store, budget: Budget | None = None) -> None:
        self.store = store
        self.clock = Clock()
        self.schedule = Schedule(budget)
        if budget is not None:
            budget.beside = lambda: store.seconds
        self._now = WallClock()
        self.wall = self._now()
        self._losses: list[tuple[str, int, float, Tensor]] = []
        self._rates: list[Reading] = []
        self._vectors: list[tuple[list[Tensor], int, float, Naming]] = []
        self._noise = Noise()
        self._flushed = self._stepped = time.monotonic()
        self._timed_from = 0
        self.validations = 0  # steps after which a validation has left a metric
        self._validated_at = -1

    def loss(self, name: str, value: Tensor) -> None:
        """Keep the value of a loss; the mean is taken over those of one step."""
        self.scalar(f"loss/{name}", value.detach())

    def scalar(self, name: str, value: Tensor) -> None:
        """Keep a scalar of every step; several of one name and step are averaged."""
        self._losses.append((name, self.clock.step, self.wall, value))
        if len(self._losses) >= MOST_LOSSES:  # no optimizer steps
            self.flush()

    def rate(self, name: str, value: float) -> None:
        """Keep a number that may change at every step; it leaves the loop with the losses."""
        self._rates.append((name, self.clock.step, float(value), self.wall))

    def vector(self, values: list[Tensor], name: Naming) -> None:
        """Keep scalars that `name` turns into readings once they have been copied out.

        They leave the device together, at the end of the step: nobody may change them till then.
        """
        if values:
            self._vectors.append((values, self.clock.step, self.wall, name))

    def numbers(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Keep plain numbers as readings of a step, by default of the running one."""
        at = self.clock.step if step is None else step
        if any(name.startswith("metric/val/") for name in values):
            self.validated()
        readings = [(name, at, float(value), self.wall) for name, value in values.items()]
        self.store.put(lambda: readings)

    def validated(self) -> None:
        """A validation has left a metric; several after one step are one."""
        self.validations += self.clock.step != self._validated_at
        self._validated_at = self.clock.step

    def leave_out(self, seconds: float) -> None:
        """An experiment of ours took so long: no time of the steps' own."""
        self._stepped += seconds
        if self.schedule.budget is not None:
            self.schedule.budget.leave_out(seconds)

    def note(self, facts: Mapping[str, Scalar]) -> None:
        self.store.note(facts)

    def new_step(self) -> None:
        """A step began: now and then hand over the losses and the time steps take."""
        self.wall = self._now()
        now = time.monotonic()
        step = self.clock.step
        self.schedule.begin(step)
        if self._vectors:
            self.hand_over()
        if len(self._losses) >= FLUSH_STEPS or now - self._flushed > FLUSH_SECONDS or step < 3:
            self.flush()
            self._flushed = now
            seconds = (now - self._stepped) / max(1, step - self._timed_from)
            self._stepped, self._timed_from = now, step
            self.numbers({"seconds/step": seconds}, step - 1)

    def hand_over(self) -> None:
        """Start copying out what was kept as vectors."""
        held, self._vectors = self._vectors, []
        if not held:
            return
        read = reader([value for values, *_ in held for value in values])
        parts = [(len(values), step, wall, name) for values, step, wall, name in held]

        def batch() -> list[Reading]:
            numbers, start = read(), 0
            found: list[Reading] = []
            for count, step, wall, name in parts:
                try:
                    named = name(numbers[start : start + count])
                    found += [(n, step, v, wall) for n, v in named.items()]
                except Exception as error:  # one measurement's words are not all the others'
                    self.store.complain(f"a reading was given up ({error})")
                start += count
            return found

        self.store.put(batch)

    def flush(self) -> None:
        """Hand over everything: vectors, rates, and the losses of all steps up to now."""
        self.hand_over()
        rates, self._rates = self._rates, []
        if rates:
            self.store.put(lambda: rates)
        held, self._losses = self._losses, []
        if not held:
            return
        read = reader([value for *_, value in held])
        kept = [(name, step, wall) for name, step, wall, _ in held]

        def batch() -> list[Reading]:
            grouped: dict[tuple[str, int], tuple[float, list[float]]] = {}
            for (name, step, wall), value in zip(kept, read(), strict=True):
                grouped.setdefault((name, step), (wall, []))[1].append(value)
            found = [(n, s, sum(v) / len(v), w) for (n, s), (w, v) in grouped.items()]
            left = [self._noise.left(n, v) for n, _, v, _ in found if n.startswith("loss/")]
            if any(left):
                self.schedule.move(self.clock.step)
            return found

        self.store.put(batch)
