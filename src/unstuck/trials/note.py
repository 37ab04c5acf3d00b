"""The remarks on a verdict: what failed, what is missing, where the t-test does not apply."""

from unstuck.records import Plan
from unstuck.trials.power import MOST_PAIRS
from unstuck.trials.reading import Reading
from unstuck.trials.sample import Arm


def note(plan: Plan, reading: Reading, more: int | None, baseline: Arm, arm: Arm) -> str:
    """What there is to say beside the numbers, parts joined by semicolons."""
    sample, missing = reading.sample, reading.missing
    planned, pairs = len(plan.seeds), sample.pairs
    notes = [_failures("baseline ", baseline), _failures("", arm)]
    if notes[0] and arm and not notes[1]:
        notes.append(f"the treatment finished in {len(arm)} of {len(arm)}")
    if missing:
        notes.append(f"{planned - missing} of {planned} planned pairs are done")
    elif sample.seedless:
        notes.append("the metric is the same for every seed: does the training use its seed?")
    if pairs > 1 and sample.identical:
        notes.append(f"identical runs in all {pairs} pairs: the metric sees no change")
    elif pairs > 1 and not sample.spread and not sample.seedless:
        notes.append(f"all {pairs} pairs differ by exactly {sample.effect:.4g}: tested by sign")
    elif pairs < 2 and not missing:
        notes.append(f"{pairs} whole pair{'s' * (pairs != 1)}, at least 2 are needed")
    elif reading.word == "undecided" and more is None and not sample.seedless:
        notes.append(f"more than {MOST_PAIRS} further pairs would be needed")
    return "; ".join(n for n in notes if n)


def _failures(of: str, arm: Arm) -> str:
    failed = [run for run in arm.values() if run.error]
    if not failed:
        return ""
    word = "failed" if any(run.metrics for run in failed) else "crashed"
    return f"{of}{word} in {len(failed)} of {len(arm)} runs ({failed[0].error[:80]})"
