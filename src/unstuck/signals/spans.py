"""When does a series stay beyond a limit?"""

import numpy as np

from unstuck.records import Op, Series, beyond


def last_span_beyond(
    series: Series, op: Op, limit: float, *, at_least: float = 0
) -> tuple[int, int] | None:
    """First and last step of the stretch beyond `limit` that ends the series.

    None where the last reading is not beyond the limit, where the stretch is shorter than
    `at_least` steps, or where it is a single reading.
    """
    inside = beyond(series.value, op, limit)
    if not inside.size or not inside[-1]:
        return None
    outside = np.flatnonzero(~inside)
    start = int(outside[-1]) + 1 if outside.size else 0
    if start == len(series) - 1:
        return None
    first, last = int(series.step[start]), int(series.step[-1])
    return (first, last) if last - first >= at_least else None


def longest_span_beyond(
    series: Series, op: Op, limit: float, *, at_least: float = 0
) -> tuple[int, int] | None:
    """First and last step of the longest stretch beyond `limit`; None where it is too short."""
    inside = np.concatenate([[False], beyond(series.value, op, limit), [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1]).reshape(-1, 2)
    if not len(edges):
        return None
    first, last = series.step[edges[:, 0]], series.step[edges[:, 1] - 1]
    longest = int(np.argmax(last - first))
    span = int(first[longest]), int(last[longest])
    return span if span[1] > span[0] and span[1] - span[0] >= at_least else None


def from_step(series: Series, step: int) -> Series:
    """The readings of a series at `step` and after it."""
    return between(series, step, None)


def between(series: Series, first: int | None, last: int | None) -> Series:
    """The readings of a series from step `first` to step `last`, both included."""
    low = 0 if first is None else int(np.searchsorted(series.step, first, "left"))
    high = len(series) if last is None else int(np.searchsorted(series.step, last, "right"))
    return Series(series.name, series.step[low:high], series.value[low:high])


def finite(series: Series) -> Series:
    """The finite readings of a series."""
    keep = np.isfinite(series.value)
    if bool(keep.all()):
        return series
    return Series(series.name, series.step[keep], series.value[keep])


def length(series: Series) -> int:
    """Steps from the first reading to the last; 0 for fewer than two readings."""
    return int(series.step[-1] - series.step[0]) if len(series) > 1 else 0
