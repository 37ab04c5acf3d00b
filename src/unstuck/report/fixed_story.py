"""A fix in words, the same in the terminal, in HTML and in JSON: what is claimed and on what."""

import math

from unstuck.fixed import Confirmation, Fixed, Race, Ranks, Standing, Word, Yardstick
from unstuck.report.story import effect, interval, lost
from unstuck.report.text import clean, counted, number

TITLES: dict[Word, str] = {
    "proven": "Proven",
    "finding gone": "Finding gone",
    "harmed": "Harmful",
    "not proven": "Nothing proven",
    "nothing to try": "Nothing to try",
    "nothing to fix": "Nothing to fix",
}


def headline(fixed: Fixed) -> str:
    """What came of it in one line, without the numbers."""
    if fixed.confirmation is not None:
        name = clean(fixed.confirmation.treatment.name)
        return {
            "proven": f"Proven: {name} helps",
            "finding gone": f"Finding gone: {name} removes {finding(fixed)}",
            "harmed": f"Nothing proven: {name} did harm on fresh seeds",
        }.get(fixed.word, f"Nothing proven: {name} was the best candidate, and is undecided")
    return {
        "nothing to fix": "Nothing to fix: no cause was found that costs quality or time",
        "nothing to try": "Nothing proven: no treatment can be carried out in a live run",
    }.get(fixed.word, "Nothing proven: no candidate was better than the untreated script")


def finding(fixed: Fixed) -> str:
    """The code that the confirmation watched."""
    confirmation = fixed.confirmation
    return clean(confirmation.trial.plan.finding, 20) if confirmation else ""


def claim(confirmation: Confirmation) -> str:
    """What the confirmation shows and on how many pairs; the only claim of a fix."""
    plan, verdict = confirmation.trial.plan, confirmation.verdict
    gone = f"; {clean(plan.finding, 20)} {lost(verdict)}" if lost(verdict) else ""
    if confirmation.judging == "effect":
        pairs = counted(verdict.pairs, "pair")
        sure = f"{100 * plan.confidence:g} % interval {interval(verdict)}"
        told = f"{clean(plan.metric, 60)} {_better(verdict.effect)} by {_size(confirmation)}"
        return f"{told} ({sure}, {pairs} on fresh seeds){gone}"
    ranks = confirmation.ranks
    if ranks is None:
        return ""
    what = "without the finding" if confirmation.judging == "finding" else "better"
    done = ranks.better + ranks.worse + ranks.same
    told = f"{what} in {ranks.better} of {counted(done, 'pair')}, worse in {ranks.worse}"
    told += f" (fresh seeds, signed ranks p {number(ranks.p, 2)})"
    if confirmation.judging == "finding":
        return told
    return f"{told}{_median(ranks, plan.metric)}{gone}"


def _median(ranks: Ranks, metric: str) -> str:
    if not (math.isfinite(ranks.low) and math.isfinite(ranks.high)):
        return ""
    ends = f"{number(ranks.low, 3)} to {number(ranks.high, 3)}"
    return f"; median difference of {clean(metric, 60)} {number(ranks.median, 3)} ({ends})"


def _better(value: float) -> str:
    return "better" if value >= 0 else "worse"


def _size(confirmation: Confirmation) -> str:
    return effect(confirmation.verdict, confirmation.trial.plan.unit).lstrip("+-")


def judged_by(yardstick: Yardstick) -> str:
    """The number the fix is judged by, and why this one."""
    if yardstick.kind == "none":
        return (
            f"judged by the finding alone, for {clean(yardstick.why, 200)}: give a --metric to "
            f"have an effect proven"
        )
    way = "higher" if yardstick.higher_is_better else "lower"
    return f"judged by {clean(yardstick.metric, 80)}, {way} is better ({clean(yardstick.why, 200)})"


def raced_by(yardstick: Yardstick) -> str:
    """What the differences of a race are differences of."""
    if yardstick.kind == "none":
        return "the finding, 1 where it is gone"
    return clean(yardstick.metric, 60)


def standing(it: Standing) -> str:
    """What became of a candidate in the race."""
    if not it.left_after:
        return "went into the confirmation"
    failed = (
        f", failed in {it.failed} of {counted(len(it.differences), 'run')}" if it.failed else ""
    )
    return f"left after round {it.left_after}: {clean(it.why, 120)}{failed}"


def raced(race: Race) -> str:
    """The size of a race."""
    seeds = [s for round_seeds in race.seeds for s in round_seeds]
    told = ", ".join(str(s) for s in seeds[:12])
    return (
        f"{counted(len(race.seeds), 'round')} on seeds {told or '-'}: {counted(race.runs, 'run')}"
    )


def cost(fixed: Fixed) -> str:
    """Runs and seconds of everything."""
    parts = []
    if fixed.race:
        parts.append(f"{fixed.race.runs} in the race")
    if fixed.confirmation:
        parts.append(f"{len(fixed.confirmation.trial.outcomes)} in the confirmation")
    if fixed.opponent:
        confirmation = fixed.opponent.confirmation
        more = len(confirmation.trial.outcomes) if confirmation else 0
        parts.append(f"{fixed.opponent.runs + more} of random search")
    split = f" (1 to diagnose, {', '.join(parts)})" if parts else ""
    return f"{counted(fixed.runs, 'run')}{split}, {fixed.seconds:,.0f} s of training"
