"""The paired differences of one treatment and what a single look at them says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from unstuck.records import Floats, Outcome, Plan

SAME = 2.0**-22  # relative spread that is rounding: two units in the last place of a float32

Arm = dict[int, Outcome]  # the runs of one arm by seed


@dataclass(frozen=True)
class Sample:
    """The differences of one treatment's pairs, better = positive, and what they say."""

    differences: Floats  # (pairs,)
    seedless: bool  # baseline and treatment give the same number for every seed

    @property
    def pairs(self) -> int:
        return int(self.differences.size)

    @property
    def identical(self) -> bool:
        """Whether there are pairs and none of them differs."""
        return bool(self.pairs) and not self.differences.any()

    @cached_property
    def effect(self) -> float:
        return float(self.differences.mean()) if self.differences.size else math.nan

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the differences; exactly 0 where they are all equal."""
        equal = self.differences.size < 2 or not np.ptp(self.differences)
        return 0.0 if equal else float(self.differences.std(ddof=1))

    @cached_property
    def p(self) -> float:
        """Two-sided p-value, before any correction."""
        pairs = self.differences.size
        if pairs < 2 or not self.differences.any():
            return 1.0
        if not self.spread:
            return 1.0 if self.seedless else 2.0 ** (1 - pairs)
        t = abs(self.effect) / (self.spread / math.sqrt(pairs))
        return float(2 * special.stdtr(pairs - 1, -t))

    def interval(self, level: float) -> tuple[float, float]:
        """Where the effect lies with confidence 1 - level; unbounded where nothing is known."""
        if self.differences.size < 2:
            return -math.inf, math.inf
        if not self.spread:
            known = not self.differences.any() or self.p < level
            return (self.effect, self.effect) if known else (-math.inf, math.inf)
        pairs = self.differences.size
        reach = special.stdtrit(pairs - 1, 1 - level / 2) * self.spread / math.sqrt(pairs)
        return self.effect - float(reach), self.effect + float(reach)


def sample(plan: Plan, baseline: Arm, arm: Arm, seeds: Sequence[int]) -> Sample:
    """The whole pairs of these seeds; a failed run takes its pair out."""
    both = [s for s in seeds if succeeded(baseline.get(s)) and succeeded(arm.get(s))]
    before = np.array([baseline[s].metrics[plan.metric] for s in both])
    after = np.array([arm[s].metrics[plan.metric] for s in both])
    differences = (after - before) if plan.higher_is_better else (before - after)
    if len(both) > 1:
        differences = _without_rounding(differences, float(np.abs([before, after]).max()))
    seedless = len(both) > 1 and not np.ptp(before) and not np.ptp(after)
    return Sample(differences, seedless)


def succeeded(outcome: Outcome | None) -> bool:
    return outcome is not None and not outcome.error


def _without_rounding(differences: Floats, scale: float) -> Floats:
    """Differences that rounding alone sets apart, from zero or from each other, made equal."""
    if np.abs(differences).max() <= SAME * scale:
        return np.zeros_like(differences)
    if np.ptp(differences) <= SAME * scale:
        return np.full_like(differences, np.median(differences))
    return differences
