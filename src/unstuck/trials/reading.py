"""The numbers behind a verdict: one test at the end of the plan, or a course of looks.

Every treatment's reading is that of its last look, at the level Holm's rule tested it at.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unstuck.records import Plan, VerdictWord
from unstuck.trials.looks import Standing, standings
from unstuck.trials.plan import BASELINE
from unstuck.trials.sample import Arm, Sample, sample


@dataclass(frozen=True, slots=True)
class Reading:
    """What the test of one treatment says, however often it was looked at."""

    sample: Sample
    seeds: int  # of the plan's, from its first on, that were used
    word: VerdictWord
    effect: float
    low: float
    high: float
    p: float  # corrected
    level: float  # of the test that was passed or failed
    missing: int = 0  # seeds still to be run
    why: str = ""


def at_once(plan: Plan, arms: Mapping[str, Arm]) -> list[Reading]:
    """The plan's one look, at its end."""
    baseline = arms[BASELINE]
    samples = [sample(plan, baseline, arms[t.name], plan.seeds) for t in plan.treatments]
    adjusted, levels = holm([s.p for s in samples], 1 - plan.confidence)
    readings = []
    for treatment, of, p, level in zip(plan.treatments, samples, adjusted, levels, strict=True):
        low, high = of.interval(level)
        missing = sum(s not in baseline or s not in arms[treatment.name] for s in plan.seeds)
        word = "undecided" if missing else _word(low, high, plan.margin)
        readings.append(Reading(of, len(plan.seeds), word, of.effect, low, high, p, level, missing))
    return readings


def by_looks(plan: Plan, arms: Mapping[str, Arm]) -> list[Reading]:
    """Where the looks that the runs allow have left every treatment."""
    found = standings(plan, arms)
    return [_reading(plan, found[treatment.name]) for treatment in plan.treatments]


def _reading(plan: Plan, standing: Standing) -> Reading:
    of, look, level = standing.sample, standing.due, standing.level
    effect, low, high, p = of.effect, -math.inf, math.inf, 1.0
    if look is not None:
        p = look.p(of.p)
        if standing.word in ("helped", "harmed"):
            low, effect, high = _in_order(of, standing)
        else:  # every course that calls lies further out: `level - spent` of them are to come
            p += level - look.spent
            low, high = of.interval(look.level)
    missing = 0 if standing.settled else len(plan.seeds) - standing.seeds
    return Reading(
        of,
        standing.seeds,
        standing.word,
        effect,
        low,
        high,
        min(1.0, standing.left * p),
        level,
        missing,
        standing.why,
    )


def _in_order(of: Sample, standing: Standing) -> tuple[float, float, float]:
    """Interval and, between its ends, median unbiased estimate of an effect that was called."""
    look, level = standing.due, standing.level
    if look is None or not of.spread:
        return of.effect, of.effect, of.effect
    side = math.copysign(of.spread, of.effect)
    t = abs(of.effect) / (of.spread / math.sqrt(of.pairs))
    ends = [side * look.effect(t, share) for share in (level / 2, 0.5, 1 - level / 2)]
    return min(ends), ends[1], max(ends)


def holm(p: Sequence[float], alpha: float) -> tuple[list[float], list[float]]:
    """Holm's adjusted p-values, and the level at which each interval agrees with the test.

    >>> holm([0.04, 0.01], 0.05)
    ([0.04, 0.02], [0.05, 0.025])
    """
    adjusted, levels = [1.0] * len(p), [alpha] * len(p)
    worst, failed = 0.0, 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        left = len(p) - rank
        worst = max(worst, min(1.0, left * p[index]))
        adjusted[index] = worst
        levels[index] = failed or alpha / left
        if worst >= alpha:
            failed = failed or alpha / left
    return adjusted, levels


def _word(low: float, high: float, margin: float) -> VerdictWord:
    if low > 0:
        return "helped"
    if high < 0:
        return "harmed"
    return "no difference" if -margin <= low and high <= margin else "undecided"
