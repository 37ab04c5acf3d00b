"""The looks at a trial that stops early: after each seed of the plan, at every open treatment.

A look is taken once all open treatments have finished a seed and all seeds before it in the
plan's order. So what a look sees does not depend on which run was quick, and a trial that was
interrupted, or ran on, says the same. A pair that failed leaves its look out.

Each look tests by Holm's rule: with `left` treatments not yet called, any of them whose t-test
passes the look of the course of level (1 - confidence) / left is called, for good, and the rest
is tested at the next level (Holm on group-sequential tests keeps the error over all treatments:
Maurer & Bretz 2013). What is not called then is settled

- as *no difference* where the look's interval lies within the margin. That is the same course used
  against effects as large as the margin, so it errs no more often than with one look;
- as *undecided* where a verdict by the last pair has become unlikely (futility). The course does
  not count on it: it can only make wrong calls rarer;
- as *undecided* where the treatment failed in each of the first runs, or no seed matters;
- by its last pair.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from unstuck.records import Plan, VerdictWord
from unstuck.trials.plan import BASELINE
from unstuck.trials.sample import Arm, Sample, sample, succeeded
from unstuck.trials.sequential import (
    FIRST,
    FUTILE,
    FUTILE_FROM,
    Look,
    course,
    verdict_chance,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the looks so far say of one treatment."""

    sample: Sample  # of the seeds looked at
    seeds: int  # so many of the plan's, from its first on
    look: Look | None = None  # the last one taken
    level: float = 1.0  # of the course that look belongs to
    left: int = 1  # treatments its p-value is corrected for
    word: VerdictWord = "undecided"
    settled: bool = False
    why: str = ""  # it is settled without a verdict

    @property
    def due(self) -> Look | None:
        """The look at the very pairs of the sample: long plans are not looked at after each."""
        return self.look if self.look and self.look.pairs == self.sample.pairs else None


def standings(plan: Plan, arms: Mapping[str, Arm]) -> dict[str, Standing]:
    """Every treatment after the looks that the runs done so far allow; depends on nothing else."""
    names = [t.name for t in plan.treatments]
    found = {name: Standing(sample(plan, {}, {}, ()), 0) for name in names}
    for seeds in range(1, len(plan.seeds) + 1):
        still = [name for name in names if not found[name].settled]
        seed = plan.seeds[seeds - 1]
        if not still or any(seed not in arms[name] for name in (BASELINE, *still)):
            break
        for name in still:
            pairs = sample(plan, arms[BASELINE], arms[name], plan.seeds[:seeds])
            found[name] = replace(found[name], sample=pairs, seeds=seeds)
        _call(plan, found, still)
        for name in still:
            if not found[name].settled:
                found[name] = _closed(plan, found[name], arms[name])
    return found


def _call(plan: Plan, found: dict[str, Standing], still: list[str]) -> None:
    """Take the look of this seed at the open treatments, and call those that Holm's rule calls."""
    alpha = 1 - plan.confidence
    while True:
        left = sum(s.word not in ("helped", "harmed") for s in found.values())
        ready = []
        for name in still:
            if not found[name].settled:
                found[name] = taken = _looked(plan, found[name], alpha / left, left)
                if taken.due and taken.sample.p < taken.due.level:
                    ready.append(name)
        if not ready:
            return
        first = min(ready, key=lambda name: found[name].sample.p)
        word: VerdictWord = "helped" if found[first].sample.effect > 0 else "harmed"
        found[first] = replace(found[first], word=word, settled=True)


def _looked(plan: Plan, standing: Standing, level: float, left: int) -> Standing:
    """The standing with the look its pairs are due at this level; with the last one, if none is."""
    planned, pairs = len(plan.seeds), standing.sample.pairs
    last = pairs if standing.seeds == planned else planned
    due = [k for k in (course(planned, last, level) if last > 1 else ()) if k.pairs == pairs]
    if not due:
        return standing
    return replace(standing, look=due[-1], level=level, left=left)


def _closed(plan: Plan, standing: Standing, arm: Arm) -> Standing:
    """The standing of a treatment that this look did not call, settled where it can be."""
    planned, pairs, look = len(plan.seeds), standing.sample, standing.due
    last = standing.seeds == planned
    arm_so_far = [arm.get(seed) for seed in plan.seeds[: standing.seeds]]
    if not last and standing.seeds >= FIRST and not any(map(succeeded, arm_so_far)):
        return replace(standing, settled=True, why=f"failed in each of {standing.seeds} runs")
    if look is None:
        return replace(standing, settled=last)
    low, high = pairs.interval(look.level)
    surely = last or not pairs.identical or 2.0 ** (1 - pairs.pairs) < look.level
    if surely and -plan.margin <= low and high <= plan.margin:
        return replace(standing, word="no difference", settled=True)
    if last or pairs.seedless:
        return replace(standing, settled=True)
    if pairs.pairs >= FUTILE_FROM * planned:
        chance = chance_of_verdict(plan, pairs, pairs.pairs + planned - standing.seeds)
        if chance < FUTILE:
            why = f"given up: the chance of a verdict by pair {planned} was {100 * chance:.2g} %"
            ended = course(planned, pairs.pairs, standing.level)[-1]
            return replace(standing, look=ended, settled=True, why=why)
    return standing


def chance_of_verdict(plan: Plan, pairs: Sample, most: int) -> float:
    """Chance that the last look, at `most` pairs, gives a verdict; 1 where there is no spread."""
    if not pairs.spread or most <= pairs.pairs:
        return 1.0
    last = course(len(plan.seeds), len(plan.seeds), 1 - plan.confidence)[-1]
    mean = np.array(pairs.effect / pairs.spread)
    return float(verdict_chance(mean, pairs.pairs, most, last.limit, plan.margin / pairs.spread))
