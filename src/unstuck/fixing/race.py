"""The race: candidates against the untreated script in short paired rounds, fewer each round.

Sequential halving (Karnin, Koren & Somekh, Almost Optimal Exploration in Multi-Armed Bandits, 2013,
<https://proceedings.mlr.press/v28/karnin13.html>): after every round the worse half leaves.
Successive elimination by intervals (Even-Dar, Mannor & Mansour, 2006) needs more pairs than a race
can pay for: at two or three pairs an interval with unknown spread is so wide that nothing leaves.
Halving needs no spread, and its cost is known beforehand.

Candidates are ranked by their mean over the seeds of all rounds so far, which all of them share;
one that failed in a run comes after those that did not. A candidate that is not better than the
untreated script leaves as well (failed runs: unstuck.fixing.ranks). The race only chooses: what it
measured is never the effect that is reported, for the best of several is best by luck, too.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from unstuck.fixed import Race, Standing
from unstuck.fixing.conducted import whole
from unstuck.fixing.ranks import Worth, sign
from unstuck.records import Outcome, Plan, Treatment, Trial
from unstuck.trials.plan import BASELINE

FIRST_PAIRS = 2  # of the first round; one seed alone may be a lucky one
FURTHER_PAIRS = 1  # of every later round
FIRST_SEED = 1

Rounds = Sequence[tuple[int, ...]]
Round = Callable[[int, Sequence[Treatment], Sequence[int]], Trial]  # number from 1, who, on what


def seeds_of_rounds(candidates: int, avoided: int | None = None) -> tuple[tuple[int, ...], ...]:
    """The seeds of every round that many candidates need; `avoided` is the script's own.

    >>> seeds_of_rounds(6), seeds_of_rounds(1, avoided=2)
    (((1, 2), (3,), (4,)), ((1, 3),))
    """
    counts = [FIRST_PAIRS]
    left = math.ceil(candidates / 2)
    while left > 1:
        counts.append(FURTHER_PAIRS)
        left = math.ceil(left / 2)
    seeds = [s for s in range(FIRST_SEED, FIRST_SEED + sum(counts) + 1) if s != avoided]
    rounds = []
    for count in counts:
        rounds.append(tuple(seeds[:count]))
        seeds = seeds[count:]
    return tuple(rounds)


def runs_of(candidates: int) -> int:
    """The runs a race takes at most, those of the untreated script included.

    >>> [runs_of(k) for k in (1, 2, 3, 6)]
    [4, 6, 11, 21]
    """
    total, left = 0, candidates
    for seeds in seeds_of_rounds(candidates):
        total += len(seeds) * (left + 1)
        left = math.ceil(left / 2)
    return total


def raced(
    candidates: Sequence[Treatment],
    run_round: Round,
    rounds: Rounds,
    worth_by: Callable[[Plan], Worth],
    floor: float = -math.inf,
) -> Race:
    """Run the rounds and tell how each candidate fared; the winner, if any, left after no round."""
    results: dict[tuple[str, int], Outcome] = {}
    left: dict[str, tuple[int, str]] = {}
    done: list[tuple[int, ...]] = []
    plan: Plan | None = None
    late = ""
    for number, seeds in enumerate(rounds, start=1):
        still = [t for t in candidates if t.name not in left]
        if len(still) < min(number, 2):  # one is enough for the first round alone
            break
        trial = run_round(number, still, seeds)
        plan = plan or trial.plan
        if not whole(trial):
            late = f"the budget was spent in round {number} of the race"
            break
        results |= {(o.arm, o.seed): o for o in trial.outcomes}
        done.append(tuple(seeds))
        forms = {t.name: _form(t.name, results, done, worth_by(plan), floor) for t in still}
        left |= _leaving(forms, number)
    if plan is None:
        raise ValueError("a race needs a round")
    if not done:
        left = {t.name: (1, late) for t in candidates}
    return _told(candidates, results, left, done, plan, worth_by(plan), late)


@dataclass(frozen=True, slots=True)
class Form:
    """How a candidate does on the seeds so far."""

    failed: int
    level: float  # mean worth of the runs that ended
    gain: float  # mean difference to the untreated runs; by sign where some run failed

    @property
    def rank(self) -> tuple[int, float]:
        return -self.failed, self.level


def _form(
    name: str,
    results: Mapping[tuple[str, int], Outcome],
    done: Rounds,
    worth: Worth,
    floor: float,
) -> Form:
    pairs = [
        (worth(results[name, seed]), worth(results[BASELINE, seed]))
        for seeds in done
        for seed in seeds
    ]
    ended = [treated for treated, _ in pairs if math.isfinite(treated)]
    level = sum(ended) / len(ended) if ended else -math.inf
    if all(math.isfinite(worth) for pair in pairs for worth in pair):
        gain = sum(treated - untreated for treated, untreated in pairs) / len(pairs)
    else:
        gain = float(sum(sign(treated, untreated, floor) for treated, untreated in pairs))
    return Form(len(pairs) - len(ended), level, gain)


def _leaving(forms: Mapping[str, Form], number: int) -> dict[str, tuple[int, str]]:
    """Who leaves after a round, and why: the worse half, and whoever is no better than nothing."""
    ranked = sorted(forms, key=lambda name: forms[name].rank, reverse=True)
    staying = math.ceil(len(ranked) / 2)
    found = {}
    for place, name in enumerate(ranked):
        if forms[name].gain <= 0:
            found[name] = (number, "not better than the untreated script")
        elif place >= staying:
            found[name] = (number, "others did better")
    return found


def _told(
    candidates: Sequence[Treatment],
    results: Mapping[tuple[str, int], Outcome],
    left: Mapping[str, tuple[int, str]],
    done: Rounds,
    plan: Plan,
    worth: Worth,
    late: str,
) -> Race:
    standings = []
    for treatment in candidates:
        ran = {seed: o for (arm, seed), o in results.items() if arm == treatment.name}
        differences = {
            seed: _finite(worth(o) - worth(results[BASELINE, seed])) for seed, o in ran.items()
        }
        failed = sum(bool(o.error) for o in ran.values())
        number, why = left.get(treatment.name, (0, ""))
        standings.append(Standing(treatment, differences, failed, number, why))
    untreated = {
        seed: math.nan if o.error else o.metrics[plan.metric]
        for (arm, seed), o in results.items()
        if arm == BASELINE
    }
    note = "; ".join(filter(None, (late, _seedless(untreated))))
    seconds = sum(o.seconds for o in results.values())
    return Race(tuple(standings), tuple(done), untreated, len(results), seconds, note)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def _seedless(untreated: Mapping[int, float]) -> str:
    values = list(untreated.values())
    if len(values) > 1 and all(v == values[0] for v in values):
        return (
            "the untreated runs are the same whatever the seed: the script ignores its seed, and "
            "its pairs are one pair"
        )
    return ""
