"""Pairs judged by sign: better, worse or the same, where a mean would say nothing.

A run that fails, or ends without a finite number, counts as one that never got away from where it
began: another is better only if it did. Numbers that differ tenfold from seed to seed have no
useful mean. Two-sided exact sign test; the interval of the
median of the differences is that of the order statistics (Conover, Practical Nonparametric
Statistics, 1999, sections 3.2 and 3.4).
"""

import math
from collections.abc import Callable, Mapping

from unstuck.fixed import Signs
from unstuck.records import Outcome, Plan, VerdictWord

PAIRS = 9  # of them eight alike are enough at 95 %: one pair may disagree
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
    """1 better, -1 worse, 0 the same; nothing is worse than the floor, where failed runs lie.

    >>> sign(-0.1, -math.inf, floor=-2.0), sign(-1e9, -math.inf, floor=-2.0)
    (1, 0)
    """
    treated, untreated = max(treated, floor), max(untreated, floor)
    return (treated > untreated) - (treated < untreated)


def counted(
    plan: Plan,
    pairs: Mapping[int, tuple[Outcome, Outcome]],
    worth: Worth,
    floor: float = -math.inf,
) -> Signs:
    """`pairs` are (treated, untreated) by seed."""
    found = [sign(worth(treated), worth(untreated), floor) for treated, untreated in pairs.values()]
    better, worse = found.count(1), found.count(-1)
    metric = by_metric(plan)
    whole = [pair for pair in pairs.values() if not any(run.error for run in pair)]
    differences = sorted(metric(treated) - metric(untreated) for treated, untreated in whole)
    middle, low, high = _median(differences, 1 - plan.confidence)
    return Signs(better, worse, len(found) - better - worse, p(better, worse), middle, low, high)


def p(better: int, worse: int) -> float:
    """Chance of a split at least this uneven where either sign is as likely; ties count for none.

    >>> p(8, 1), p(6, 0), p(5, 0)
    (0.0390625, 0.03125, 0.0625)
    """
    pairs = better + worse
    fewer = sum(math.comb(pairs, k) for k in range(min(better, worse) + 1))
    return float(min(1.0, 2 * fewer / 2**pairs))


def word(signs: Signs, confidence: float) -> VerdictWord:
    """helped, harmed, or undecided: signs alone never show that there is no difference."""
    if signs.p > 1 - confidence:
        return "undecided"
    return "helped" if signs.better > signs.worse else "harmed"


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
