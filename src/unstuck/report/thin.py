"""A long series as few points that draw the same picture: lowest and highest of each column."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unstuck.records import Floats, Series


@dataclass(frozen=True, slots=True)
class Outline:
    """Pieces of a line, broken where a reading is not finite, and where those readings are."""

    pieces: list[tuple[Floats, Floats]]  # (steps, values), each at least one point
    not_finite: list[tuple[int, int]]  # first and last step of each stretch, in columns


def outline(series: Series, columns: int) -> Outline:
    """At most two points and one break for each of `columns` columns of equal width in steps."""
    finite = np.isfinite(series.value)
    if len(series) <= 2 * columns:
        bad = ~finite
        return Outline(
            _pieces(series.step.astype(np.float64), series.value, finite),
            _stretches(series.step, series.step, bad),
        )
    step, low, high, holes, first, last = _columns(series, finite, columns)
    seen = np.isfinite(low)
    times = np.repeat(step, 2)
    values = np.column_stack((low, high)).ravel()
    whole = np.repeat(seen & ~holes, 2)
    broken = _pieces(times, values, whole)
    partly = [
        (step[i : i + 1].repeat(2), np.array([low[i], high[i]]))
        for i in np.flatnonzero(seen & holes)
    ]
    return Outline(broken + partly, _stretches(first, last, holes))


def _columns(
    series: Series, finite: NDArray[np.bool_], columns: int
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Per column that has readings: middle step, lowest, highest, any hole, first and last step."""
    step = series.step.astype(np.float64)
    width = (step[-1] - step[0]) / columns
    column = np.minimum((step - step[0]) // width, columns - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1.0))
    ends = np.append(starts[1:], step.size) - 1
    low = np.minimum.reduceat(np.where(finite, series.value, np.inf), starts)
    high = np.maximum.reduceat(np.where(finite, series.value, -np.inf), starts)
    holes = np.logical_or.reduceat(~finite, starts)
    middle = (step[starts] + step[ends]) / 2
    return middle, low, high, holes, series.step[starts], series.step[ends]


def _pieces(step: Floats, value: Floats, keep: NDArray[np.bool_]) -> list[tuple[Floats, Floats]]:
    """Split at every place that is not kept."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], keep.astype(np.int8), [0]))))
    return [(step[a:b], value[a:b]) for a, b in edges.reshape(-1, 2)]


def _stretches(
    first: NDArray[np.int64], last: NDArray[np.int64], marked: NDArray[np.bool_]
) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], marked.astype(np.int8), [0]))))
    return [(int(first[a]), int(last[b - 1])) for a, b in edges.reshape(-1, 2)]
