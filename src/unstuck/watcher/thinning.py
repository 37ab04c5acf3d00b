"""Which readings of a series stay when it has too many: the run's shape, and all that stands out.

Kept are the first readings, the newest ones, one in each of equally long stretches of steps between
them, the extremes, what lies far out of its surroundings, and both ends of whatever is not finite;
of what stands out, the readings beside it too, so that a jump and the way back can be told.
The stretches are powers of two long and begin at multiples of their length: thinning again and
again, as a run grows, keeps what thinning it once at its end would have kept.
"""

import numpy as np
from numpy.typing import NDArray

from unstuck.records import Floats

Steps = NDArray[np.int64]
Mask = NDArray[np.bool_]

FIRST = 16  # one in so many of those kept are the run's first readings, without a gap
NEWEST = 8  # and so many its last
OUTSIDE = 4  # and so many at most are kept for standing out, or beside what does
BLOCK = 32  # readings whose median and spread say what is ordinary among them
FAR = 6.0  # times the spread


def kept(step: Steps, value: Floats, most: int) -> Mask:
    """True where a reading stays: at most `most` of them, all if there are no more than that."""
    count = len(step)
    if count <= most:
        return np.ones(count, dtype=bool)
    first, newest, outside = most // FIRST, most // NEWEST, most // OUTSIDE
    keep = np.zeros(count, dtype=bool)
    keep[:first] = keep[count - newest :] = True
    middle = slice(first, count - newest)
    keep[middle] |= regular(step[middle], most - first - newest - outside)
    score = standing_out(value)
    chosen = np.argsort(-score, kind="stable")[: outside // 3]
    chosen = chosen[score[chosen] > 0]
    for beside in (-1, 0, 1):
        keep[np.clip(chosen + beside, 0, count - 1)] = True
    return keep


def regular(step: Steps, most: int) -> Mask:
    """The first reading of each stretch of 2^k steps, with the least k that leaves `most`."""
    width = 1
    while True:
        stretch = step // width
        begins: Mask = np.diff(stretch, prepend=stretch[:1] - 1) != 0
        if np.count_nonzero(begins) <= max(1, most):
            return begins
        width *= 2


def standing_out(value: Floats) -> Floats:
    """How far each reading lies out of its surroundings, in spreads; 0 where it does not.

    Infinite for the extremes of the series and where it turns finite or ceases to be.
    """
    finite = np.isfinite(value)
    score = np.zeros(len(value))
    turns = np.diff(finite.astype(np.int8)) != 0
    score[:-1][turns] = score[1:][turns] = np.inf
    if not finite.any():
        return score
    ordinary = np.where(finite, value, np.median(value[finite]))
    edges = np.arange(0, len(value), BLOCK)
    with np.errstate(over="ignore", invalid="ignore"):
        level = np.repeat([np.median(b) for b in np.split(ordinary, edges[1:])], BLOCK)
        off = np.abs(ordinary - level[: len(value)])
        wide = np.repeat([np.median(b) for b in np.split(off, edges[1:])], BLOCK)[: len(value)]
        spread = np.maximum(wide, np.median(off))
        far = np.divide(off, spread, out=np.where(off > 0, np.inf, 0.0), where=spread > 0)
    score = np.maximum(score, np.where(far > FAR, far, 0.0))
    for extreme in (np.argmin(ordinary), np.argmax(ordinary)):
        score[extreme] = np.inf
    return score
