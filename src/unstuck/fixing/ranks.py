"""Pairs judged by rank, where a mean would say nothing.

A run that fails, or ends without a finite number, counts as one that never got away from where it
began: another is better only if it did. Where both ended, only what lies far below is all alike: a
loss at a billion is no better than one at two, but an overfitted network may well end above its
start. Numbers that lie far apart from seed to seed have no useful mean. Where the treatment changes
nothing, the two runs of a pair could change places, so every difference is as likely with either
sign: the exact two-sided signed-rank test (Wilcoxon, Individual Comparisons by Ranking Methods,
1945), ranks of equal differences shared. Differences that are only better or worse, such as a
finding gone, make it the sign test. The interval of the median is that of the order statistics
(Conover, Practical Nonparametric Statistics, 1999, 3.2).
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from unstuck.changes import UNMET
from unstuck.fixed import Ranks
from unstuck.records import Outcome, Plan, VerdictWord

PAIRS = 9  # few enough to be cheap where runs fail; at 95 %, one small difference may disagree
FAR_BELOW = 10.0  # times what a loss began with: a run that ends there has diverged
FEWEST = 6  # all of them alike are enough at 95 %, five are not
Worth = Callable[[Outcome], float]  # of a run: higher is better, -inf where it failed


def by_metric(plan: Plan) -> Worth:
    """A run's worth by the plan's metric."""

    def worth(run: Outcome) -> float:
        if run.error:
            return -math.inf
        value = run.metrics[plan.metric]
        return value if plan.higher_is_better else -value

    return worth


def by_finding(code: str) -> Worth:
    """A run's worth by whether a finding is there: 0 where it is gone, -1 where it is not."""

    def worth(run: Outcome) -> float:
        return -float(bool(run.error) or run.codes is None or code in run.codes)

    return worth


def sign(treated: float, untreated: float, floor: float = -math.inf) -> int:
    """1 better, -1 worse, 0 the same; `floor` is where failed runs lie.

    >>> sign(-0.1, -math.inf, floor=-2.0), sign(-1e9, -math.inf, floor=-2.0)
    (1, 0)
    >>> sign(-3.0, -4.0, floor=-2.0), sign(-1e8, -1e9, floor=-2.0)
    (1, 0)
    """
    treated, untreated = _floored(treated, untreated, floor)
    return (treated > untreated) - (treated < untreated)


def _floored(treated: float, untreated: float, floor: float) -> tuple[float, float]:
    """Worths of a pair: none below the floor where one failed, else none far below it."""
    if math.isfinite(treated) and math.isfinite(untreated):
        floor -= (FAR_BELOW - 1) * abs(floor)
    return max(treated, floor), max(untreated, floor)


def counted(
    plan: Plan,
    pairs: Mapping[int, tuple[Outcome, Outcome]],
    worth: Worth,
    floor: float = -math.inf,
) -> Ranks:
    """`pairs` are (treated, untreated) by seed; none in which the change was not carried out."""
    pairs = {s: pair for s, pair in pairs.items() if not pair[0].error.startswith(UNMET)}
    both = [(worth(treated), worth(untreated)) for treated, untreated in pairs.values()]
    found = [sign(treated, untreated, floor) for treated, untreated in both]
    better, worse = found.count(1), found.count(-1)
    chance = p([_difference(*pair, floor) for pair in both])
    metric = by_metric(plan)
    whole = [pair for pair in pairs.values() if not any(run.error for run in pair)]
    differences = sorted(metric(treated) - metric(untreated) for treated, untreated in whole)
    middle, low, high = _median(differences, 1 - plan.confidence)
    return Ranks(better, worse, len(found) - better - worse, chance, middle, low, high)


def _difference(treated: float, untreated: float, floor: float) -> float:
    """How much better; infinite where only one of the two failed and no floor is known."""
    treated, untreated = _floored(treated, untreated, floor)
    return 0.0 if treated == untreated else treated - untreated


def p(differences: Sequence[float]) -> float:
    """Chance of ranks at least this uneven where every difference may have either sign.

    Differences of zero count for neither side.

    >>> p([1.0] * 6), p([1.0] * 5), p([3.0, 2.0, 5.0, 4.0, 1.0, 6.0, -0.5, 8.0, 7.0])
    (0.03125, 0.0625, 0.0078125)
    """
    found = np.array([d for d in differences if d])
    if not len(found):
        return 1.0
    sizes, shared = np.unique(np.abs(found), return_inverse=True)
    above = np.cumsum(np.bincount(shared, minlength=len(sizes)))
    below = np.concatenate(([0], above[:-1]))
    ranks = (below + above + 1)[shared]  # twice the rank: whole numbers even where it is shared
    ways = np.zeros(int(ranks.sum()) + 1)
    ways[0] = 1.0
    for rank in ranks:  # sums of the ranks of those that are positive, each sign as likely
        moved = np.zeros_like(ways)
        moved[rank:] = ways[: len(ways) - rank]
        ways = (ways + moved) / 2
    positive = int(ranks[found > 0].sum())
    smaller = min(positive, int(ranks.sum()) - positive)
    return float(min(1.0, 2 * ways[: smaller + 1].sum()))


def word(found: Ranks, confidence: float) -> VerdictWord:
    """helped, harmed, or undecided: ranks alone never show that there is no difference."""
    if found.p > 1 - confidence:
        return "undecided"
    return "helped" if found.better > found.worse else "harmed"


def _median(ordered: list[float], alpha: float) -> tuple[float, float, float]:
    """The median and its exact interval; unbounded where there are too few differences."""
    count = len(ordered)
    if not count:
        return math.nan, -math.inf, math.inf
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    outside, k = 0.0, 0
    while (outside := outside + 2 * math.comb(count, k) / 2**count) <= alpha:
        k += 1
    return (middle, ordered[k - 1], ordered[count - k]) if k else (middle, -math.inf, math.inf)
