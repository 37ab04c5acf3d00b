"""How many pairs a paired trial needs.

An effect is seen by the paired t-test, whose power is that of the noncentral t distribution (Cohen,
Statistical Power Analysis, 1988); equivalence by the whole interval lying within the margin, which
is two one-sided tests (Schuirmann, 1987). `d` is an effect in standard deviations of the paired
differences.
"""

import math

from scipy import special

POWER = 0.8  # Cohen's convention for a study worth doing
MOST_PAIRS = 1000  # beyond this, "more pairs" is no advice anyone can follow
LOOKS_COST = 1.08  # planned pairs of a plan that stops early, to those of one look (LOG.md)


def power(pairs: int, d: float, alpha: float = 0.05) -> float:
    """Chance that a two-sided paired t-test sees a true effect `d`.

    >>> round(power(5, 1.0), 2), round(power(5, 2.0), 2), round(power(10, 1.0), 2)
    (0.4, 0.91, 0.8)
    """
    if pairs < 2:
        return 0.0
    limit = special.stdtrit(pairs - 1, 1 - alpha / 2)
    return _beyond(pairs, abs(d), limit) + 1 - _beyond(pairs, abs(d), -limit)


def equivalence_power(pairs: int, d: float, room: float, alpha: float = 0.05) -> float:
    """Chance that the whole interval lies within +-room around zero, estimated from below."""
    if pairs < 2 or abs(d) >= room:
        return 0.0
    limit = special.stdtrit(pairs - 1, 1 - alpha / 2)
    return max(0.0, _beyond(pairs, room - d, limit) + _beyond(pairs, room + d, limit) - 1)


def pairs_needed(d: float, room: float, alpha: float, stop_early: bool = False) -> int | None:
    """Pairs that settle a true effect `d` with power `POWER`, by the effect or by equivalence.

    Planned pairs, where the plan stops early. None where `MOST_PAIRS` would not do.
    """

    def settles(pairs: int) -> bool:
        seen = power(pairs, d, alpha) >= POWER
        return seen or equivalence_power(pairs, d, room, alpha) >= POWER

    if not settles(MOST_PAIRS):
        return None
    low, high = 1, MOST_PAIRS  # power grows with the pairs: bisect
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settles(middle) else (middle, high)
    return math.ceil(LOOKS_COST * high) if stop_early else high


def expected_pairs(planned: int, d: float, alpha: float = 0.05) -> float:
    """Mean pairs that a plan that stops early uses where the true effect is `d`."""
    from unstuck.trials.sequential import stopping

    return stopping(planned, d, alpha)[1] if planned > 1 else float(planned)


def detectable(pairs: int, alpha: float = 0.05, stop_early: bool = False) -> float:
    """The true effect that so many planned pairs see with power `POWER`; inf for less than two.

    >>> round(detectable(10), 2), round(detectable(5), 2)
    (1.0, 1.68)
    """
    if pairs < 2:
        return math.inf
    low, high = 0.0, 1.0
    while power(pairs, high, alpha) < POWER:
        high *= 2
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if power(pairs, middle, alpha) >= POWER else (middle, high)
    return _despite_looks(pairs, high, alpha) if stop_early else high


def _despite_looks(planned: int, once: float, alpha: float) -> float:
    """The effect that a plan that stops early sees with power `POWER`, from that of one look."""
    from unstuck.trials.sequential import stopping

    low, high = once, 1.25 * once  # from 3 to 100 pairs it is 1.00 to 1.07 times that
    for _ in range(7):
        middle = (low + high) / 2
        seen, _ = stopping(planned, middle, alpha)
        low, high = (low, middle) if seen >= POWER else (middle, high)
    return high


def _beyond(pairs: int, d: float, limit: float) -> float:
    """P(t > limit) for the t of `pairs` pairs with true effect `d`."""
    shift = d * math.sqrt(pairs)
    below = float(special.nctdtr(pairs - 1, shift, limit))
    if not math.isfinite(below):  # the series fails where the answer is 0 or 1
        below = 0.0 if shift > limit else 1.0
    return 1 - below
