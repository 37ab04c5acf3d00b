"""What paired runs say about each treatment.

The effect is the mean difference to the baseline over pairs of equal seed, positive where the
treatment is better; its interval is that of the paired t-test. Several treatments are corrected
with Holm's method: the k-th smallest of m p-values is tested at alpha / (m - k + 1), a rejected one
gets the interval of its own level, and all from the first one kept get the interval of the level
that one failed. So an interval excludes zero exactly where Holm's test rejects.

*helped* / *harmed*: the interval lies on the right / wrong side of zero. *no difference*: it lies
within the plan's margin. *undecided*: anything else, and every trial that is not finished: the
plan's seeds are the stopping rule, and looking earlier would raise the rate of wrong verdicts.

Where the t-test does not apply: fewer than two pairs give no interval; identical runs in every
pair give the interval [0, 0]; equal differences other than zero are tested by their sign
(p = 2^(1 - n)), unless the metric does not depend on the seed at all, which is one observation
however often it is repeated. A failed run takes its pair out of the comparison and into the note.

Reference: Holm, A simple sequentially rejective multiple test procedure, 1979.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from unstuck.records import Floats, Outcome, Plan, Treatment, Verdict, VerdictWord
from unstuck.trials.plan import BASELINE
from unstuck.trials.power import MOST_PAIRS, pairs_needed
from unstuck.trials.power import power as power

SAME = 2.0**-22  # relative spread that is rounding: two units in the last place of a float32

Arm = dict[int, Outcome]  # the runs of one arm by seed


def judge(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[Verdict, ...]:
    """A verdict for every treatment, in the plan's order; its `p` is Holm's adjusted one."""
    arms: dict[str, Arm] = {name: {} for name in (BASELINE, *(t.name for t in plan.treatments))}
    for outcome in outcomes:
        arms[outcome.arm].setdefault(outcome.seed, outcome)
    samples = [_sample(plan, arms[BASELINE], arms[t.name]) for t in plan.treatments]
    adjusted, levels = holm([s.p for s in samples], 1 - plan.confidence)
    return tuple(
        _verdict(plan, treatment, sample, p, level, arms)
        for treatment, sample, p, level in zip(
            plan.treatments, samples, adjusted, levels, strict=True
        )
    )


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


@dataclass(frozen=True, slots=True)
class Sample:
    """The differences of one treatment's pairs, better = positive, and what they say."""

    differences: Floats  # (pairs,)
    seedless: bool  # baseline and treatment give the same number for every seed

    @property
    def effect(self) -> float:
        return float(self.differences.mean()) if self.differences.size else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation of the differences; exactly 0 where they are all equal."""
        equal = self.differences.size < 2 or not np.ptp(self.differences)
        return 0.0 if equal else float(self.differences.std(ddof=1))

    @property
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


def _sample(plan: Plan, baseline: Arm, arm: Arm) -> Sample:
    both = [s for s in plan.seeds if _succeeded(baseline.get(s)) and _succeeded(arm.get(s))]
    before = np.array([baseline[s].metrics[plan.metric] for s in both])
    after = np.array([arm[s].metrics[plan.metric] for s in both])
    differences = (after - before) if plan.higher_is_better else (before - after)
    if len(both) > 1:
        differences = _without_rounding(differences, float(np.abs([before, after]).max()))
    seedless = len(both) > 1 and not np.ptp(before) and not np.ptp(after)
    return Sample(differences, seedless)


def _without_rounding(differences: Floats, scale: float) -> Floats:
    """Differences that rounding alone sets apart, from zero or from each other, made equal."""
    if np.abs(differences).max() <= SAME * scale:
        return np.zeros_like(differences)
    if np.ptp(differences) <= SAME * scale:
        return np.full_like(differences, np.median(differences))
    return differences


def _succeeded(outcome: Outcome | None) -> bool:
    return outcome is not None and not outcome.error


def _verdict(
    plan: Plan,
    treatment: Treatment,
    sample: Sample,
    p: float,
    level: float,
    arms: dict[str, Arm],
) -> Verdict:
    baseline, arm = arms[BASELINE], arms[treatment.name]
    missing = sum(s not in baseline or s not in arm for s in plan.seeds)
    low, high = sample.interval(level)
    word = "undecided" if missing else _word(low, high, plan.margin)
    more = missing or None
    if word == "undecided" and not missing:
        more = further_pairs(sample, level, plan.margin)
    had, lost = _finding(plan, baseline, arm)
    return Verdict(
        treatment,
        word,
        sample.effect,
        low,
        high,
        plan.confidence,
        p,
        int(sample.differences.size),
        lost_finding=lost,
        had_finding=had,
        more_pairs=more,
        note=_note(plan, sample, word, missing, more, baseline, arm),
    )


def _word(low: float, high: float, margin: float) -> VerdictWord:
    if low > 0:
        return "helped"
    if high < 0:
        return "harmed"
    return "no difference" if -margin <= low and high <= margin else "undecided"


def further_pairs(sample: Sample, level: float, margin: float) -> int | None:
    """Further pairs that would settle the verdict, if the observed effect and spread are the true
    ones. None: more than `MOST_PAIRS`, or unknown.
    """
    pairs = sample.differences.size
    if pairs < 2 or sample.seedless:
        return None
    if not sample.spread:
        return max(1, math.floor(1 - math.log2(level)) + 1 - pairs)
    needed = pairs_needed(sample.effect / sample.spread, margin / sample.spread, level)
    return None if needed is None else max(1, needed - pairs)


def _finding(plan: Plan, baseline: Arm, arm: Arm) -> tuple[int | None, int | None]:
    """Pairs whose baseline had the plan's finding, and those of them whose treated run, carried
    to its end, is without it. None where no pair was diagnosed.
    """
    diagnosed = []
    for seed in plan.seeds:
        before, after = baseline.get(seed), arm.get(seed)
        if before and after and before.codes is not None and after.codes is not None:
            diagnosed.append((before.codes, after.codes, bool(after.error)))
    if not plan.finding or not diagnosed:
        return None, None
    had = [(after, failed) for before, after, failed in diagnosed if plan.finding in before]
    return len(had), sum(plan.finding not in after and not failed for after, failed in had)


def _note(
    plan: Plan,
    sample: Sample,
    word: VerdictWord,
    missing: int,
    more: int | None,
    baseline: Arm,
    arm: Arm,
) -> str:
    planned, pairs = len(plan.seeds), sample.differences.size
    notes = [_failures("baseline ", baseline), _failures("", arm)]
    if notes[0] and arm and not notes[1]:
        notes.append(f"the treatment finished in {len(arm)} of {len(arm)}")
    if missing:
        notes.append(f"{planned - missing} of {planned} planned pairs are done")
    elif sample.seedless:
        notes.append("the metric is the same for every seed: does the training use its seed?")
    if pairs > 1 and not sample.differences.any():
        notes.append(f"identical runs in all {pairs} pairs: the metric sees no change")
    elif pairs > 1 and not sample.spread and not sample.seedless:
        notes.append(f"all {pairs} pairs differ by exactly {sample.effect:.4g}: tested by sign")
    elif pairs < 2 and not missing:
        notes.append(f"{pairs} whole pair{'s' * (pairs != 1)}, at least 2 are needed")
    elif word == "undecided" and more is None and not sample.seedless:
        notes.append(f"more than {MOST_PAIRS} further pairs would be needed")
    return "; ".join(n for n in notes if n)


def _failures(of: str, arm: Arm) -> str:
    failed = [run for run in arm.values() if run.error]
    if not failed:
        return ""
    word = "failed" if any(run.metrics for run in failed) else "crashed"
    return f"{of}{word} in {len(failed)} of {len(arm)} runs ({failed[0].error[:80]})"
