"""The confirmation: the race's winner against the untreated script on seeds nobody has used yet.

How it is judged is settled by the race alone, before the first of its runs:

effect   the mean paired difference with its interval, stopped early by the trial's own rule
ranks    pairs are ranked (unstuck.fixing.ranks), where a mean would say nothing: in the race a run
         failed, or untreated ones ended worse than they began, or threefold apart
finding  whether the finding is gone, where no number can be compared

Its verdict is the only claim a fix makes.
"""

import math
from collections.abc import Callable, Sequence

from unstuck.fixed import Confirmation, Judging, Race, Ranks, Yardstick
from unstuck.fixing import ranks
from unstuck.records import Outcome, Treatment, Trial
from unstuck.trials.plan import BASELINE

FIRST_SEED = 1001  # far from the race's and from what people choose
PAIRS = 12
FAR = 3.0  # times: two or three runs that lie so far apart come from a long tail (LOG.md)

Run = Callable[[Treatment, Sequence[int], bool], Trial]  # treatment, seeds, whether to stop early


def judging_of(race: Race, yardstick: Yardstick) -> Judging:
    """How the confirmation will be judged, from what the race has shown."""
    if yardstick.kind == "none":
        return "finding"
    winner = race.winner
    failed = winner is not None and any(math.isnan(d) for d in winner.differences.values())
    untreated = list(race.untreated.values())
    return "ranks" if failed or _wild(untreated, yardstick) else "effect"


def _wild(untreated: Sequence[float], yardstick: Yardstick) -> bool:
    """Whether untreated runs failed, ended worse than they began, or far from each other."""
    if not all(math.isfinite(value) for value in untreated):
        return True
    worth = [value if yardstick.higher_is_better else -value for value in untreated]
    far = min(untreated) > 0 and max(untreated) > FAR * min(untreated)
    return far or min(worth) < yardstick.floor


def seeds_of(judging: Judging, pairs: int, avoided: int | None = None) -> tuple[int, ...]:
    """Fresh seeds: as many as planned, or as many as ranks need; `avoided` is the script's own."""
    count = pairs if judging == "effect" else max(ranks.FEWEST, min(pairs, ranks.PAIRS))
    seeds = [s for s in range(FIRST_SEED, FIRST_SEED + count + 1) if s != avoided]
    return tuple(seeds[:count])


def confirmed(
    treatment: Treatment,
    judging: Judging,
    seeds: Sequence[int],
    finding: str,
    run: Run,
    floor: float,
) -> Confirmation:
    """Run the confirmation and judge it as `judging` says."""
    trial = run(treatment, seeds, judging == "effect")
    if judging == "effect":
        return Confirmation(treatment, trial, judging, trial.verdicts[0].word)
    plan = trial.plan
    by_finding = judging == "finding"
    worth = ranks.by_finding(finding) if by_finding else ranks.by_metric(plan)
    floor = -math.inf if by_finding else floor
    found = ranks.counted(plan, _pairs(trial), worth, floor)
    done = found.better + found.worse + found.same
    word = ranks.word(found, plan.confidence) if done == len(seeds) else "undecided"
    return Confirmation(treatment, trial, judging, word, found, _note(found, judging, len(seeds)))


def _pairs(trial: Trial) -> dict[int, tuple[Outcome, Outcome]]:
    """(treated, untreated) of every seed both were run with."""
    by_arm: dict[str, dict[int, Outcome]] = {BASELINE: {}}
    for outcome in trial.outcomes:
        by_arm.setdefault(outcome.arm, {})[outcome.seed] = outcome
    untreated = by_arm.pop(BASELINE)
    treated = by_arm.get(trial.plan.treatments[0].name, {})
    return {
        s: (treated[s], untreated[s]) for s in trial.plan.seeds if s in treated and s in untreated
    }


def _note(found: Ranks, judging: Judging, planned: int) -> str:
    done = found.better + found.worse + found.same
    what = "without the finding" if judging == "finding" else "better"
    told = f"{what} in {found.better} of {done} pairs, worse in {found.worse}"
    told += f"; signed ranks p {found.p:.2g}"
    return told if done == planned else f"{told}; {done} of {planned} planned pairs are done"
