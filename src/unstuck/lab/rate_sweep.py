"""What a few steps at each of many learning rates do to the loss, always from one state."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

from unstuck.lab.short_training import Clock, Rates, following, losses, measured, set_rate
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched

STEPS = 10  # as many as a run at a rate that is too high needs to blow up
SETS = 3  # the fewest of which a median can leave one out
FINE = 4  # rates to a decade
DECADES = 4  # looked at to either side of the present rate at first
FARTHEST = 9  # decades to either side, where the best is found at the end
HALF = 0.5  # of the best's progress
EDGE = 0.1  # of the best's progress; on a parabola within 1 % of the largest stable rate
BISECTIONS = 3
SMALLEST = 1e-4  # share of the loss: less is no progress

Borders = tuple[float, float, float]  # low, best, high


@dataclass(slots=True)
class Sweep:
    """Progress at rates from one state. Each rate is run once for each set of batches."""

    subject: Subject
    optimizer: Optimizer
    rates: Rates
    batches: Sequence[Any]
    start: float = 0.0
    noise: float = 0.0
    known: dict[tuple[int, float], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        value = self.subject.value
        with torch.no_grad():
            self.start = measured(value, self.batches, seed=0)
            self.noise = abs(measured(value, self.batches, seed=0) - self.start)

    def progress(self, number: int, rate: float) -> float:
        """How far a set's short run at a rate lowers the loss; -inf where it blows up."""
        if (number, rate) not in self.known:
            subject = self.subject
            with untouched((subject.model, *subject.others), self.optimizer):
                self.known[number, rate] = self._run(number, rate)
        return self.known[number, rate]

    def _run(self, number: int, rate: float) -> float:
        turn = number % len(self.batches)
        order = [*self.batches[turn:], *self.batches[:turn]]
        set_rate(self.optimizer, self.rates, rate)
        value = self.subject.value
        seen = list(
            islice(losses(value, self.optimizer, order, following(1000 * number + 1)), STEPS)
        )
        if len(seen) < STEPS or not math.isfinite(seen[-1]):
            return -math.inf
        with torch.no_grad():
            return self.start - measured(value, self.batches, seed=0)

    @property
    def best(self) -> float:
        """The best progress of all."""
        return max(self.known.values())


def region(sweep: Sweep, clock: Clock) -> tuple[tuple[float, float] | None, float]:
    """Between which rates, a decade apart, the borders lie, and the best progress."""
    scale = sweep.rates.scale
    at: dict[int, float] = {}
    decade: int | None = 0
    while decade is not None and not (at and clock.over):
        at[decade] = sweep.progress(0, scale * 10.0**decade)
        decade = _next_decade(at)
    best = max(at, key=lambda d: at[d])
    gain = at[best]
    if not gain > max(3 * sweep.noise, SMALLEST * abs(sweep.start)):
        return None, max(gain, 0.0) if math.isfinite(gain) else 0.0
    below = max((d for d in at if d < best and at[d] < HALF * gain), default=min(at))
    above = min((d for d in at if d > best and at[d] <= EDGE * gain), default=max(at))
    return (scale * 10.0**below, scale * 10.0**above), gain


def grid_in(region: tuple[float, float], sweep: Sweep, clock: Clock) -> tuple[list[float], int]:
    """Rates of the region, and for how many sets there is time."""
    decades = math.log10(region[1] / region[0])
    began = clock.left
    sweep.progress(0, region[0] * 10 ** (1 / FINE))
    each = max(began - clock.left, 1e-4)
    runs = max(clock.left, 0.0) / each
    sets = SETS if len(sweep.batches) >= SETS else 1
    fine = FINE
    while sets * (fine * decades + BISECTIONS) > runs and (sets > 1 or fine > 1):
        sets, fine = (1, fine) if sets > 1 else (1, fine // 2)
    count = max(round(fine * decades), 1)
    ratio = region[1] / region[0]
    return [region[0] * ratio ** (i / count) for i in range(count + 1)], sets


def borders(sweep: Sweep, number: int, grid: list[float], clock: Clock) -> Borders:
    """low, best and high of one set."""
    gains = [sweep.progress(number, rate) for rate in grid]
    best = int(np.argmax(gains))
    most = gains[best]

    def enough(share: float) -> Callable[[float], bool]:
        return lambda rate: sweep.progress(number, rate) > share * most

    low = high = grid[best]
    for inside, outside in zip(grid[best::-1], grid[best - 1 :: -1] if best else (), strict=False):
        low = inside
        if not enough(HALF)(outside):
            low = _between(inside, outside, enough(HALF), clock)
            break
        low = outside
    for inside, outside in zip(grid[best:], grid[best + 1 :], strict=False):
        high = inside
        if not enough(EDGE)(outside):
            high = _between(inside, outside, enough(EDGE), clock)
            break
        high = outside
    return low, grid[best], high


def _between(inside: float, outside: float, enough: Callable[[float], bool], clock: Clock) -> float:
    """Where between two rates it is no longer enough."""
    for _ in range(BISECTIONS):
        if clock.over:
            break
        middle = math.sqrt(inside * outside)
        inside, outside = (middle, outside) if enough(middle) else (inside, middle)
    return math.sqrt(inside * outside)


def _next_decade(at: dict[int, float]) -> int | None:
    """The nearest ones first; then beyond the end where the border is not seen yet."""
    waiting = [d for d in sorted(range(-DECADES, DECADES + 1), key=abs) if d not in at]
    if waiting:
        return waiting[0]
    best, lowest, highest = max(at.values()), min(at), max(at)
    hopeless = best <= 0 and not any(math.isfinite(gain) for gain in at.values())
    if lowest > -FARTHEST and (hopeless or (best > 0 and at[lowest] >= HALF * best)):
        return lowest - 1
    if highest < FARTHEST and best > 0 and at[highest] > EDGE * best:
        return highest + 1
    return None
