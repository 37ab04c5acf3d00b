"""What paired runs say about each treatment.

The effect is the mean difference to the baseline over pairs of equal seed, positive where the
treatment is better; its interval is that of the paired t-test. Several treatments are corrected
with Holm's method: the k-th smallest of m p-values is tested at alpha / (m - k + 1), a rejected one
gets the interval of its own level, and all from the first one kept get the interval of the level
that one failed. So an interval excludes zero exactly where Holm's test rejects.

*helped* / *harmed*: the interval lies on the right / wrong side of zero. *no difference*: it lies
within the plan's margin. *undecided*: anything else, and every trial that is not finished: the
plan's seeds are the stopping rule, and looking earlier would raise the rate of wrong verdicts.

A plan that stops early is looked at after every seed (`looks`), with limits that keep that rate
(`sequential`). What is called then gets the interval and the median unbiased estimate of the
stagewise order, both of which allow for having stopped: a mean that was stopped at because it was
large is too large. What is not called keeps the mean and the interval of its last look's own test,
which holds whatever it was stopped for (Jennison & Turnbull 1989). A p-value below alpha goes with
a call in both; runs beyond the seeds a verdict took are ignored.

Where the t-test does not apply: fewer than two pairs give no interval; identical runs in every
pair give the interval [0, 0]; equal differences other than zero are tested by their sign
(p = 2^(1 - n)), unless the metric does not depend on the seed at all, which is one observation
however often it is repeated. A failed run takes its pair out of the comparison and into the note.

Reference: Holm, A simple sequentially rejective multiple test procedure, 1979.
"""

import math
from collections.abc import Sequence

from unstuck.records import Outcome, Plan, Treatment, Verdict
from unstuck.trials.looks import standings
from unstuck.trials.note import note
from unstuck.trials.plan import BASELINE
from unstuck.trials.power import pairs_needed
from unstuck.trials.power import power as power
from unstuck.trials.reading import Reading, at_once, by_looks
from unstuck.trials.sample import Arm
from unstuck.trials.sample import Sample as Sample
from unstuck.trials.sequential import FIRST


def judge(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[Verdict, ...]:
    """A verdict for every treatment, in the plan's order; its `p` is Holm's adjusted one."""
    arms = _by_arm(plan, outcomes)
    readings = by_looks(plan, arms) if _looked_at(plan) else at_once(plan, arms)
    return tuple(
        _verdict(plan, treatment, reading, arms)
        for treatment, reading in zip(plan.treatments, readings, strict=True)
    )


def settled(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, int]:
    """The treatments whose verdict is final, each with the number of seeds, from the plan's first
    on, that it took. Further outcomes change neither; none is settled in a plan that does not stop
    early before all its runs are done.
    """
    arms = _by_arm(plan, outcomes)
    if _looked_at(plan):
        return {name: s.seeds for name, s in standings(plan, arms).items() if s.settled}
    done = all(seed in arm for arm in arms.values() for seed in plan.seeds)
    return {t.name: len(plan.seeds) for t in plan.treatments} if done else {}


def _by_arm(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, Arm]:
    arms: dict[str, Arm] = {name: {} for name in (BASELINE, *(t.name for t in plan.treatments))}
    for outcome in outcomes:
        arms[outcome.arm].setdefault(outcome.seed, outcome)
    return arms


def _looked_at(plan: Plan) -> bool:
    """Whether the plan has room for a look before its end."""
    return plan.stop_early and len(plan.seeds) > FIRST


def _verdict(plan: Plan, treatment: Treatment, reading: Reading, arms: dict[str, Arm]) -> Verdict:
    used = plan.seeds[: reading.seeds]
    baseline, arm = (_of(arms[name], used) for name in (BASELINE, treatment.name))
    more = reading.missing or None
    if reading.word == "undecided" and not reading.missing:
        more = further_pairs(reading.sample, reading.level, plan.margin, _looked_at(plan))
    had, lost = _finding(plan, baseline, arm)
    beyond = [s for s in plan.seeds[reading.seeds :] if not reading.missing]
    unused = sum(s in arms[BASELINE] and s in arms[treatment.name] for s in beyond)
    notes = [note(plan, reading, more, baseline, arm), reading.why]
    notes.append(f"{unused} later pair{'s' * (unused != 1)} ignored" if unused else "")
    return Verdict(
        treatment,
        reading.word,
        reading.effect,
        reading.low,
        reading.high,
        plan.confidence,
        reading.p,
        reading.sample.pairs,
        lost_finding=lost,
        had_finding=had,
        more_pairs=more,
        note="; ".join(filter(None, notes)),
        planned_pairs=len(plan.seeds),
    )


def _of(arm: Arm, seeds: Sequence[int]) -> Arm:
    return {seed: outcome for seed, outcome in arm.items() if seed in seeds}


def further_pairs(
    sample: Sample, level: float, margin: float, stop_early: bool = False
) -> int | None:
    """Further pairs that would settle the verdict, if the observed effect and spread are the true
    ones. None: more than `MOST_PAIRS`, or unknown.
    """
    pairs = sample.pairs
    if pairs < 2 or sample.seedless:
        return None
    if not sample.spread:
        return max(1, math.floor(1 - math.log2(level)) + 1 - pairs)
    d, room = sample.effect / sample.spread, margin / sample.spread
    needed = pairs_needed(d, room, level, stop_early)
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
