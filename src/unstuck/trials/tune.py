"""Search where a trial is not enough: numbers are searched on some seeds, the best of them is
proven on others.

The best of many suggestions is best by luck, too, so what the search measured is never reported as
the effect: the verdict comes from a trial against the baseline on seeds the search has not used.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unstuck.records import Scalar, Treatment, Trial
from unstuck.trials.budget import Resources
from unstuck.trials.conduct import executor_for, run_plan
from unstuck.trials.executor import Executor
from unstuck.trials.plan import PlanError, planned
from unstuck.trials.search import Found, Space, searched, worded
from unstuck.trials.subject import Subject

PAIRS = 12  # of the confirmation at most
FEWEST_SEARCHED = 4  # runs a search needs to be one: the baseline and three suggestions
SEARCH_SHARE = 0.5  # of the time that may be spent; the rest is for the confirmation
LEAST = 1e-3  # seconds: a confirmation that comes too late begins nothing, and says so


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a search found, and what a trial on fresh seeds says about it.

    `trial` is None where nothing in the search was better than the baseline.
    """

    found: Found
    trial: Trial | None

    @property
    def word(self) -> str:
        """The verdict's word; "nothing found" where there was nothing to confirm."""
        return self.trial.verdicts[0].word if self.trial else "nothing found"

    @property
    def told(self) -> str:
        """The outcome in one line."""
        seeds = between(self.found.space.seeds)
        if self.trial is None:
            return f"nothing better than the baseline was found on seeds {seeds}"
        fresh = between(sorted({run.seed for run in self.trial.outcomes}))
        how = {
            "helped": f"confirmed on seeds {fresh}",
            "harmed": f"refuted on seeds {fresh}: it harms there",
        }.get(self.word, f"not confirmed on seeds {fresh}: {self.word}")
        return f"found on seeds {seeds}, {how}"


def tune(
    space: Space,
    subject: Subject,
    out: Path,
    *,
    pairs: int = PAIRS,
    margin: float = 0.0,
    confidence: float = 0.95,
    resources: Resources | None = None,
    progress: bool = True,
    executor: Callable[[Subject, str], Executor] | None = None,
) -> Tuned:
    """Search `space`, then confirm its best on fresh seeds; both resume in `out`.

    Of `resources.runs`, two for each pair of the confirmation are set aside; of
    `resources.seconds`, half.

    Raises PlanError, and KeyboardInterrupt on Ctrl-C with everything finished kept.
    """
    resources = resources or Resources()
    if pairs < 2:
        raise PlanError(f"a confirmation needs at least 2 pairs, not {pairs}")
    began = time.monotonic()
    made = executor or executor_for(resources, len(space.seeds) * (space.suggestions + 1))
    found = searched(
        space,
        subject,
        out / "search",
        made(subject, space.metric),
        _for_search(resources, pairs),
        progress,
    )
    if found.best is None:
        return Tuned(found, None)
    plan = planned(
        space.metric,
        space.baseline,
        [_treatment(found.best)],
        fresh(space.seeds, pairs),
        higher_is_better=space.higher_is_better,
        margin=margin,
        confidence=confidence,
        name="confirmation",
        stop_early=True,
    )
    left = _for_confirmation(resources, pairs, time.monotonic() - began)
    trial = run_plan(
        plan,
        subject,
        out=out / "confirm",
        resources=left,
        progress=progress,
        executor=executor,
    )
    return Tuned(found, trial)


def fresh(used: Sequence[int], count: int) -> tuple[int, ...]:
    """Seeds after all of those that were used.

    >>> fresh((0, 1, 2), 3)
    (3, 4, 5)
    """
    first = max(used) + 1
    return tuple(range(first, first + count))


def between(seeds: Sequence[int]) -> str:
    """Seeds in a row as people write them.

    >>> between((0, 1, 2)), between((4,)), between((1, 5))
    ('0-2', '4', '1, 5')
    """
    if not seeds:
        return "none"
    whole = len(seeds) > 1 and tuple(seeds) == tuple(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}-{seeds[-1]}" if whole else ", ".join(map(str, seeds))


def _treatment(changes: Mapping[str, Scalar]) -> Treatment:
    expected = "better than the baseline on seeds the search has not seen"
    return Treatment(worded(changes), "tune", dict(changes), expected)


def _for_search(resources: Resources, pairs: int) -> Resources:
    runs, seconds = resources.runs, resources.seconds
    if runs is not None:
        runs -= 2 * pairs
        if runs < FEWEST_SEARCHED:
            raise PlanError(
                f"{resources.runs} runs are too few: {2 * pairs} are set aside for the "
                f"confirmation, and a search needs at least {FEWEST_SEARCHED}"
            )
    if seconds is not None:
        seconds *= SEARCH_SHARE
    return replace(resources, runs=runs, seconds=seconds)


def _for_confirmation(resources: Resources, pairs: int, passed: float) -> Resources:
    runs = None if resources.runs is None else 2 * pairs
    seconds = resources.seconds
    left = None if seconds is None else max(seconds - passed, LEAST)
    return replace(resources, runs=runs, seconds=left)
