"""How far batches lie from the running statistics of the layers that normalise them."""

import math

import numpy as np

from unstuck.records import Run, Series
from unstuck.signals.names import where_of
from unstuck.signals.spans import finite, from_step, length

FEWEST = 3  # readings of the second half that make a level


def settled_gaps(run: Run, model: str = "") -> list[Series]:
    """Of each batch normalisation: the median gap of the run's second half, as one reading.

    Earlier ones are large because running statistics start from nothing. Of one model, if named.
    """
    found = []
    for series in run.matching("normalisation/*/gap"):
        inside = not model or where_of(series.name).split(".", 1)[0] == model
        late = _second_half(finite(series))
        if inside and len(late) >= FEWEST:
            found.append(Series(series.name, late.step[-1:], np.array([np.median(late.value)])))
    return found


def widest_gap(run: Run, model: str) -> Series | None:
    """The widest of a model's settled gaps; None where none is known."""
    return max(settled_gaps(run, model), key=lambda s: float(s.value[0]), default=None)


def few_samples(run: Run, layer: str) -> float:
    """The samples a layer usually normalises together; NaN where that is not known."""
    series = run.series.get(f"normalisation/{layer}/samples")
    value = finite(series).value if series is not None else np.array([])
    return float(np.median(value)) if value.size else math.nan


def _second_half(series: Series) -> Series:
    if len(series) < 2:
        return series
    return from_step(series, int(series.step[0]) + (length(series) + 1) // 2)
