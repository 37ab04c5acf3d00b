"""Axes: from values to pixels, and ticks whose labels do not overlap."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from unstuck.records import Floats
from unstuck.report.text import short_exponent

CHARACTER = 6.6  # pixels a digit takes at the tick labels' 11 px, a little generous
LARGEST = 1e300  # beyond it the width of the range itself would overflow
LOG_FROM = 2.0  # decades a positive range must span to be drawn on a log scale


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps low..high to the pixels start..end, linearly or in decades."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: Floats | float) -> Floats:
        """Pixels of finite values; a value outside the range lands at its end."""
        inside = np.clip(np.asarray(value, dtype=np.float64), self.low, self.high)
        low, high = self.low, self.high
        if self.log:
            inside, low, high = np.log10(inside), math.log10(low), math.log10(high)
        return np.asarray(self.start + (inside - low) / (high - low) * (self.end - self.start))

    def at(self, value: float) -> float:
        return float(self(value))

    def ticks(self, most: int, whole: bool = False) -> list[tuple[float, str]]:
        """(pixel, label) of about `most` round values; `whole`: integers only."""
        values = _decades(self.low, self.high, most) if self.log else []
        for count in (most, 2 * most, 4 * most):  # a coarse step may miss the range altogether
            if len(values) < 2:
                values = _round_values(self.low, self.high, count, whole)
        labels = _labels(values, self.log)
        return [(self.at(v), label) for v, label in zip(values, labels, strict=True)]

    def label_width(self, most: int) -> float:
        """Pixels the longest of its tick labels takes."""
        return max((len(label) for _, label in self.ticks(most)), default=0) * CHARACTER

    def spaced_ticks(self, most: int, whole: bool = False) -> list[tuple[float, str]]:
        """Ticks of a horizontal axis: as many as leave a gap between their labels."""
        for count in range(most, 0, -1):
            ticks = self.ticks(count, whole)
            if not _overlap(ticks):
                return ticks
        return ticks[:1]


def fitted(
    values: Floats, start: float, end: float, *, pad: float = 0.06, log: bool | None = None
) -> Scale:
    """A scale that shows all finite `values`; log where they are positive and span two decades."""
    finite = np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low > 0 and (log or (log is None and math.log10(high) - math.log10(low) > LOG_FROM)):
        least, most = math.log10(low), math.log10(high)
        margin = max(pad * (most - least), 0.05)
        low, high = 10 ** max(least - margin, -307.0), 10 ** min(most + margin, 307.0)
        return Scale(low, high, start, end, log=True)
    margin = pad * (high - low)
    if margin <= 1e-9 * max(abs(low), abs(high)):  # a constant: give it room
        margin = 0.5 * max(abs(low), abs(high)) or 1.0
    floor = 0.0 if 0 <= low <= 0.4 * high else low - margin  # a zero near by is worth showing
    return Scale(floor, high + margin, start, end)


def _round_values(low: float, high: float, most: int, whole: bool) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _decades(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / max(most, 1)))
    return [10.0**k for k in range(first, last + 1, every)]


def _labels(values: list[float], log: bool) -> list[str]:
    """Labels of equal precision."""
    if log:
        return [short_exponent(f"{v:.4g}") for v in values]
    step = values[1] - values[0] if len(values) > 1 else abs(values[0]) if values else 1.0
    largest = max((abs(v) for v in values), default=0.0)
    places = max(0, -_magnitude(step)) if step else 0
    if largest >= 1e7 or places > 7:
        digits = _magnitude(largest) - _magnitude(step) if step and largest else 0
        return ["0" if v == 0 else short_exponent(f"{v:.{max(0, digits)}e}") for v in values]
    return [f"{v + 0.0:,.{places}f}" for v in values]


def _magnitude(value: float) -> int:
    return math.floor(math.log10(value) + 1e-9)


def _overlap(ticks: list[tuple[float, str]]) -> bool:
    edges = [(x - len(t) * CHARACTER / 2, x + len(t) * CHARACTER / 2) for x, t in ticks]
    return any(b[0] - a[1] < 10 for a, b in pairwise(edges))
