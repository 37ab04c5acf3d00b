"""Learning rates over a run, and training time counted in them."""

import math

import numpy as np

from unstuck.records import Floats, Run, Series
from unstuck.signals.align import together
from unstuck.signals.levels import start_level
from unstuck.signals.noise import CLEAR, noise_scale
from unstuck.signals.spans import finite


def rates(run: Run) -> list[Series]:
    """One series an optimizer, `lr/<optimizer>`: the largest rate of any of its groups."""
    groups: dict[str, list[Series]] = {}
    for series in run.matching("lr/*"):
        clean = finite(series)
        if len(clean):
            groups.setdefault(series.name.split("/")[1], []).append(clean)
    found = []
    for optimizer, members in groups.items():
        steps, values = together(members)
        if steps.size:
            found.append(Series(f"lr/{optimizer}", steps, values.max(axis=0)))
    return found


def peak(rate: Series) -> float:
    """The highest rate; 0 where there is none."""
    return float(rate.value.max(initial=0.0))


def travelled(rate: Series, series: Series) -> Floats:
    """Sum of the rates up to each reading of `series`, as a share of the sum up to its last one.

    How far the weights may have gone by then; zeros where they could not move at all.
    """
    steps = np.arange(1.0) if not len(rate) else rate.step.astype(np.float64)
    width = np.diff(steps, append=steps[-1] + 1)
    total = np.concatenate([[0.0], np.cumsum(np.maximum(rate.value, 0) * width)])
    edges = np.append(steps, steps[-1] + 1)
    at = np.interp(series.step.astype(np.float64), edges, total)
    end = float(at[-1]) if at.size else 0.0
    return at / end if end > 0 and np.isfinite(end) else np.zeros(len(series))


def gain_at_end(rate: Series, series: Series) -> float | None:
    """What a falling series gained on the last quarter of its way, as a share of its whole fall.

    The way is counted in summed learning rate. 0 where the gain is not clear of the noise; None
    where there are too few readings to say: two in each of the last two quarters.
    """
    clean = finite(series)
    way = travelled(rate, clean)
    earlier, later = clean.value[(way >= 0.5) & (way < 0.75)], clean.value[way >= 0.75]
    if min(earlier.size, later.size) < 2:
        return None
    end = float(np.median(later))
    gain, fall = float(np.median(earlier)) - end, start_level(clean) - end
    noise = noise_scale(clean)
    error = noise * math.sqrt(math.pi / 2 * (1 / earlier.size + 1 / later.size))
    return gain / fall if fall > 0 and gain > CLEAR * error else 0.0
