"""Learning rates over a run, and training time counted in them."""

import math

import numpy as np

from unstuck.records import Floats, Run, Series
from unstuck.signals.align import together
from unstuck.signals.levels import start_level
from unstuck.signals.noise import CLEAR, noise_scale
from unstuck.signals.spans import finite

SURE = 2.0  # standard errors: a normal error is larger in one of forty cases


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
    top = peak(rate)
    if not 0 < top < np.inf:
        return np.zeros(len(series))
    steps = rate.step.astype(np.float64)
    width = np.diff(steps, append=steps[-1] + 1)
    total = np.concatenate([[0.0], np.cumsum(np.maximum(rate.value, 0) / top * width)])
    edges = np.append(steps, steps[-1] + 1)
    at = np.interp(series.step.astype(np.float64), edges, total)
    end = float(at[-1]) if at.size else 0.0
    return at / end if end > 0 else np.zeros(len(series))


def most_gained_at_end(rate: Series, series: Series) -> float:
    """The most a falling series may have gained on the last quarter of its way, noise allowed for.

    A share of its whole fall; the way is counted in summed learning rate. Infinite where it fell by
    nothing clear of the noise, and where there are too few readings to say: two in each of the last
    two quarters.
    """
    clean = finite(series)
    way = travelled(rate, clean)
    earlier, later = clean.value[(way >= 0.5) & (way < 0.75)], clean.value[way >= 0.75]
    if min(earlier.size, later.size) < 2:
        return math.inf
    end = float(np.median(later))
    gain, fall = float(np.median(earlier)) - end, start_level(clean) - end
    error = noise_scale(clean) * math.sqrt(math.pi / 2 * (1 / earlier.size + 1 / later.size))
    clear = fall > CLEAR * noise_scale(clean) and math.isfinite(gain)
    return (max(gain, 0.0) + SURE * error) / fall if clear else math.inf
