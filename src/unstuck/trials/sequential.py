"""Looking at a paired t-test after every pair, with the error rate of a single look.

A *course* is a row of looks at growing numbers of pairs. By look k it has spent
level * (pairs / planned) ** SPENDING of its error, and the last look spends what is left: error
spending (Lan & DeMets 1983) by the power family (Kim & DeMets 1987). Spending follows the pairs,
never the results, so the rate holds wherever the trial stops.

The limits are those of t statistics, exact for few pairs. n normal differences have a mean, a
spread and a shape (what is left once both are taken out), three independent things. Shapes are
drawn, seeded; given a shape with spread one, the course stops before the present look where the
mean lies `ahead` or higher, and the chance of that has a closed form, Student's t. Averaged over
shapes it is both the error of the earlier looks, with effect 0, and the place of any other effect
in the order of all courses that end: stopped earlier is further out, then by the mean at the same
look (Armitage 1957; Tsiatis, Rosner & Mehta 1984). An effect is in the interval unless what was
seen lies too far out for it. The unknown spread is that of the pairs at hand, sd * sqrt(df / chi2),
the pivot that makes the interval of a single look the t interval. Stopping on the other side of
zero first is not told apart from not stopping: no two of 800,000 courses did both.

References: Lan & DeMets, Biometrika 70, 1983. Kim & DeMets, Biometrika 74, 1987. Tsiatis, Rosner
& Mehta, Biometrics 40, 1984. Jennison & Turnbull, Group Sequential Methods, 2000.
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from unstuck.records import Floats

FIRST = 3  # pairs at the first look; from 3 to 6 the power at 12 pairs differs by .001 (LOG.md)
SPENDING = 4.0  # 3 stops sooner but costs .04 of the power at 12 pairs, 4 costs .03 (LOG.md)
MOST_LOOKS = 40  # a longer plan is looked at after every so many pairs
SHAPES = 2**16  # courses of level .05, 5 to 30 pairs, then err at .0494 to .0500 (LOG.md)
SINGLY = 128  # shapes kept one by one, from the soonest stopped on; the rest in growing blocks
FUTILE = 0.05  # chance of a verdict below which a treatment is given up (LOG.md: its cost)
FUTILE_FROM = 0.5  # share of the planned pairs before which nothing is given up
GROWTH = 1.04  # of a block to the next; moves no level by more than 1e-4 of it


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One look of a course.

    `ahead`: shapes' means, in standard deviations, from which an earlier look has stopped; each
    stands for a share `weight` of all shapes.
    """

    pairs: int
    spent: float  # error of the course up to this look and with it, two-sided
    level: float  # level of the two-sided t-test at this look
    ahead: Floats  # (shapes,)
    weight: Floats  # (shapes,)

    @property
    def limit(self) -> float:
        """The t statistic beyond which this look calls; inf where there is no error to spend."""
        return float(-special.stdtrit(self.pairs - 1, self.level / 2)) if self.level else math.inf

    def share(self, t: float, effect: float = 0.0) -> float:
        """Chance that a course with this true effect, in standard deviations of the pairs, stops
        above zero before this look, or reaches it and sees more than `t` there.
        """
        root = math.sqrt(self.pairs)
        sooner = int(np.searchsorted(self.ahead, t / root))
        chance = _below(self.pairs - 1, root * (effect - self.ahead[:sooner]))
        here = float(_below(self.pairs - 1, np.array(root * effect - t)))
        return float(self.weight[:sooner] @ chance) + float(self.weight[sooner:].sum()) * here

    def p(self, nominal: float) -> float:
        """Chance, without any effect, that a course lies at least as far out as one that reaches
        this look with this two-sided p-value of its t-test: `spent` where that is `level`.
        """
        stopped = _below(self.pairs - 1, -math.sqrt(self.pairs) * self.ahead)
        return min(1.0, 2 * float(self.weight @ np.maximum(stopped, nominal / 2)))

    def effect(self, t: float, share: float) -> float:
        """The effect, in standard deviations, at which what was seen, `t` > 0, has this share.

        Share .5 is the median unbiased estimate, level/2 and 1 - level/2 are the interval's ends.
        """
        from scipy.optimize import brentq

        root = math.sqrt(self.pairs)
        single = (t + float(special.stdtrit(self.pairs - 1, share))) / root
        if self.ahead[0] >= t / root:
            return single
        low, step = single, 0.5
        while self.share(t, low) > share:
            low, step = low - step, 2 * step
        return float(brentq(lambda e: self.share(t, e) - share, low, single, xtol=1e-9))


@functools.lru_cache(maxsize=64)
def course(planned: int, last: int, level: float) -> tuple[Look, ...]:
    """The looks of a plan of `planned` pairs that ends, with all its error spent, at `last` pairs.

    A plan with no room before its end is looked at once, then.
    """
    every = math.ceil(planned / MOST_LOOKS)
    early = tuple(range(FIRST if every == 1 else max(FIRST, every), last, every))
    spent = tuple(level * (pairs / planned) ** SPENDING for pairs in early)
    return spending((*early, last), (*spent, level))


@functools.lru_cache(maxsize=64)
def spending(pairs: tuple[int, ...], spent: tuple[float, ...]) -> tuple[Look, ...]:
    """The looks at so many pairs that have spent so much two-sided error each."""
    found = []
    soonest = np.full(SHAPES, np.inf)  # the least mean at which a path has stopped so far
    for (n, mean, sd), error in zip(_paths(pairs, seed=0), spent, strict=True):
        ahead, weight = _condensed((soonest + mean) / sd)
        stopped = _below(n - 1, -math.sqrt(n) * ahead)
        one_sided = _filled(stopped, weight, error / 2)
        found.append(look := Look(n, error, 2 * one_sided, ahead, weight))
        soonest = np.minimum(soonest, look.limit * sd / math.sqrt(n) - mean)
    return tuple(found)


def stopping(planned: int, effect: float, level: float = 0.05) -> tuple[float, float]:
    """Chance that a course sees a true effect, in standard deviations, and its mean pairs used.

    One treatment, without a margin; what has become futile is given up.
    """
    looks = course(planned, planned, level)
    on = np.ones(SHAPES, dtype=bool)
    seen = used = 0.0
    for look, (n, mean, sd) in zip(looks, _paths(tuple(k.pairs for k in looks), 1), strict=True):
        over = on & (np.abs(mean + effect) * math.sqrt(n) > look.limit * sd)
        seen += float(over.mean())
        if FUTILE_FROM * planned <= n < planned:
            chance = verdict_chance(mean / sd + effect / sd, n, planned, looks[-1].limit)
            over |= on & (chance < FUTILE)
        used += n * float(over.mean())
        on &= ~over
    return seen, used + planned * float(on.mean())


def verdict_chance(
    mean: Floats, pairs: int, most: int, limit: float, margin: float = 0.0
) -> Floats:
    """Predictive chance that a last look at `most` pairs calls the effect or no difference.

    `mean` and `margin` in standard deviations of the pairs, whose spread is taken to stay;
    averaged over the effects they leave open (Spiegelhalter, Freedman & Blackburn 1986).
    """
    reach = limit / math.sqrt(most)
    moves = math.sqrt(1 / pairs - 1 / most)
    within = max(0.0, margin - reach)
    if within >= reach:
        return np.ones_like(mean)

    def above(end: float) -> Floats:
        return _below(pairs - 1, (mean - end) / moves)

    return above(reach) + 1 - above(-reach) + above(-within) - above(within)


def _paths(pairs: tuple[int, ...], seed: int) -> Iterator[tuple[int, Floats, Floats]]:
    """Standard normal paths: at each number of pairs, that number, their means, their spreads."""
    random = np.random.default_rng(seed)
    total, squares, n = np.zeros(SHAPES), np.zeros(SHAPES), 0
    for upto in pairs:
        new, n = upto - n, upto
        step = random.standard_normal(SHAPES)  # the sum of the new ones is step * sqrt(new)
        total += math.sqrt(new) * step
        squares += step * step
        if new > 1:
            squares += random.chisquare(new - 1, SHAPES)
        mean = total / n
        yield n, mean, np.sqrt((squares - total * mean) / (n - 1))


def _below(df: int, t: Floats) -> Floats:
    """Student's distribution function, by the incomplete beta: `stdtr` is slow for few pairs."""
    tail = special.betainc(df / 2, 0.5, df / (df + t * t)) / 2
    below: Floats = np.where(t < 0, tail, 1 - tail)
    return below


def _condensed(ahead: Floats) -> tuple[Floats, Floats]:
    """The values in rising order with their weights, most of them in blocks at their means."""
    ahead = np.sort(ahead)
    if ahead[0] == np.inf:
        return ahead[:1], np.ones(1)
    blocks = int(math.log(ahead.size / SINGLY) / math.log(GROWTH))
    later = np.geomspace(SINGLY, ahead.size, blocks + 1).astype(int)[:-1]
    starts = np.unique(np.concatenate([np.arange(SINGLY), later]))
    counts = np.diff(np.append(starts, ahead.size))
    return np.add.reduceat(ahead, starts) / counts, counts / ahead.size


def _filled(chances: Floats, weight: Floats, wanted: float) -> float:
    """u with sum(weight * max(chances, u)) = wanted; 0 where the chances alone are more.

    `chances` fall.
    """
    before = np.append(0.0, np.cumsum(weight * chances))[:-1]  # kept as they are
    lifted = np.cumsum(weight[::-1])[::-1]  # raised to u
    reached = before + lifted * chances  # the sum where u is that chance
    first = int(np.searchsorted(-reached, -wanted))  # chances from here on are lifted
    if first == len(chances):  # even the least one is too much
        return 0.0
    return max(0.0, float((wanted - before[first]) / lifted[first]))
