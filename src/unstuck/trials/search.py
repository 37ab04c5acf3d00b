"""A search over knobs: each suggestion is run on the same few seeds, and kept like a trial's runs.

plan.json      what is searched, fixed before the first run
results.jsonl  one line for each finished run; its arm is the suggestion itself, as JSON
arms/          what each run left

The runs of one suggestion follow each other. One that does worse than the middle one of the others
on the same seeds is given up: a search only chooses, and what is given up is never chosen.
"""

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from unstuck import atomic
from unstuck.records import Outcome, Plan, Recipe, Scalar
from unstuck.trials import ledger
from unstuck.trials.budget import Budget, Resources
from unstuck.trials.cache import Cache
from unstuck.trials.executor import Executor, Job
from unstuck.trials.interrupts import deferred_interrupts
from unstuck.trials.knobs import Knob
from unstuck.trials.plan import BASELINE, PlanError
from unstuck.trials.progress import Progress
from unstuck.trials.subject import Subject
from unstuck.trials.suggest import Tried, loaded, suggested

POLL = 0.05  # seconds between looks at the running jobs
OTHERS = 4  # suggestions a new one must be compared with before it may be given up
SCHEMA = "unstuck.search/1"


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched: knobs, the metric, the seeds of each suggestion, how many of them."""

    knobs: tuple[Knob, ...]
    baseline: Recipe
    metric: str
    higher_is_better: bool
    seeds: tuple[int, ...]
    suggestions: int = 20
    sampler_seed: int = 0
    code: str = ""  # what else decides the runs: the content of the script

    def __post_init__(self) -> None:
        if not self.knobs:
            raise PlanError("a search needs something to turn")
        names = [knob.change for knob in self.knobs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise PlanError(f"{twice[0]} is to be turned twice")
        if self.suggestions < 1 or not self.seeds:
            raise PlanError("a search needs at least one suggestion and one seed")


@dataclass(frozen=True, slots=True)
class Found:
    """How a search went. `best` is the suggestion of the best mean, where it beat the baseline."""

    space: Space
    suggestions: int
    runs: int
    seconds: float
    given_up: int
    best: Mapping[str, Scalar] | None


class Search:
    """The suggestions so far and what came of them."""

    def __init__(self, space: Space, folder: Path, done: Sequence[Outcome]) -> None:
        self.space = space
        self.folder = folder
        self.runs: dict[str, dict[int, Outcome]] = {BASELINE: {}}
        self.jobs: dict[tuple[str, int], Job] = {}
        self.exhausted = False
        for outcome in done:
            self.add(outcome)

    def add(self, outcome: Outcome) -> None:
        self.runs.setdefault(outcome.arm, {})[outcome.seed] = outcome

    def next(self, running: Sequence[Job]) -> Job | None:
        """The job to begin now: one more of a suggestion there is, or the first of a new one."""
        busy = {job.arm for job in running}
        for arm in [*self.runs]:
            if arm not in busy and (seed := self._next_seed(arm)) is not None:
                return self._job(arm, seed)
        made = len(self.runs.keys() | busy) - 1
        if made >= self.space.suggestions or self.exhausted:
            return None
        changes = suggested(self.space.knobs, self._tried(busy), self.space.sampler_seed)
        if changes is None:
            self.exhausted = True
            return None
        return self._job(json.dumps(changes), self.space.seeds[0])

    def found(self) -> Found:
        outcomes = [run for runs in self.runs.values() for run in runs.values()]
        whole = {arm: self._worth(arm) for arm in self.runs if self._complete(arm)}
        known = {arm: worth for arm, worth in whole.items() if worth is not None}
        base = known.get(BASELINE, -math.inf)
        best = max(known, key=lambda arm: known[arm], default=BASELINE)
        return Found(
            self.space,
            len(self.runs) - 1,
            len(outcomes),
            math.fsum(run.seconds for run in outcomes),
            sum(self._given_up(arm) for arm in self.runs),
            changes_of(best) if best != BASELINE and known[best] > base else None,
        )

    def _next_seed(self, arm: str) -> int | None:
        left = [seed for seed in self.space.seeds if seed not in self.runs[arm]]
        return left[0] if left and not self._given_up(arm) else None

    def _job(self, arm: str, seed: int) -> Job:
        recipe = {**self.space.baseline, **({} if arm == BASELINE else changes_of(arm))}
        name = hashlib.sha256(arm.encode()).hexdigest()[:12] if arm != BASELINE else arm
        job = Job(arm, recipe, seed, self.folder / "arms" / name / f"seed-{seed}")
        self.jobs[arm, seed] = job
        return job

    def _tried(self, busy: set[str]) -> list[Tried]:
        found = []
        for arm in dict.fromkeys((*self.runs, *sorted(busy))):
            if arm != BASELINE:
                over = self._given_up(arm) or self._complete(arm)
                state = "given up" if self._given_up(arm) else "done" if over else "running"
                if state == "given up" and self._worth(arm) is None:
                    state = "done"  # a failure is known for sure
                runs = len(self.runs.get(arm, {}))
                found.append(Tried(changes_of(arm), state, self._worth(arm), runs))
        return found

    def _complete(self, arm: str) -> bool:
        return all(seed in self.runs.get(arm, {}) for seed in self.space.seeds)

    def _worth(self, arm: str, runs: int | None = None) -> float | None:
        """Mean of the first `runs` runs (all of them), higher is better; None where one failed."""
        there = self.runs.get(arm, {})
        done = [there[seed] for seed in self.space.seeds if seed in there][:runs]
        if not done or any(run.error for run in done):
            return None
        mean = fmean(run.metrics[self.space.metric] for run in done)
        return mean if self.space.higher_is_better else -mean

    def _given_up(self, arm: str) -> bool:
        runs = self.runs.get(arm, {})
        if arm == BASELINE or not runs or self._complete(arm):
            return False
        if any(run.error for run in runs.values()):
            return True
        count = len(runs)
        others = [
            self._worth(other, count)
            for other, there in self.runs.items()
            if other not in (arm, BASELINE) and len(there) >= count
        ]
        own, known = self._worth(arm), [w if w is not None else -math.inf for w in others]
        return own is not None and len(known) >= OTHERS and own < median(known)


def searched(
    space: Space,
    subject: Subject,
    folder: Path,
    executor: Executor,
    resources: Resources,
    progress: bool = True,
) -> Found:
    """Run what is not there yet of a search, as far as the budget goes.

    Raises PlanError for another search in the folder, or where no run can work; KeyboardInterrupt,
    with every run stopped, on Ctrl-C.
    """
    loaded()
    plan = Plan(space.metric, space.baseline, (), space.seeds, space.higher_is_better)
    with ledger.held(folder):
        _begin(space, subject, folder)
        search = Search(space, folder, ledger.read(folder))
        cache = Cache(plan, subject) if resources.cache else None
        budget = Budget(resources.seconds, resources.runs)
        told = Progress(plan, progress)
        with deferred_interrupts() as interrupted:
            try:
                while not interrupted and not budget.over:
                    _start(search, executor, budget, cache, told)
                    if not executor.running():
                        break
                    time.sleep(POLL)
                    for run in executor.finished():
                        budget.took(run.seconds)
                        if cache:
                            cache.keep(search.jobs[run.arm, run.seed], run)
                        _keep(search, run, told)
            finally:
                executor.stop()
            if interrupted:
                raise KeyboardInterrupt(
                    f"stopped in the search; to resume, ask the same again with "
                    f"out={str(folder.parent)!r}"
                )
    return search.found()


def _start(
    search: Search, executor: Executor, budget: Budget, cache: Cache | None, told: Progress
) -> None:
    """Begin runs while there is room; what was done before comes back at once."""
    while len(executor.running()) < executor.places and not budget.spent():
        job = search.next(executor.running())
        if job is None:
            return
        if cache and (kept := cache.found(job)):
            _keep(search, kept, told)
            continue
        executor.start(job)
        budget.begin()


def _keep(search: Search, run: Outcome, told: Progress) -> None:
    ledger.append(search.folder, run)
    search.add(run)
    arm = BASELINE if run.arm == BASELINE else f"suggestion {list(search.runs).index(run.arm)}"
    value = f"failed ({run.error[:80]})" if run.error else f"{run.metrics[search.space.metric]:.4g}"
    turned = "" if run.arm == BASELINE else f" ({worded(changes_of(run.arm))})"
    told.say(f"{arm}{turned}, seed {run.seed}: {value} in {run.seconds:.0f} s")


def changes_of(arm: str) -> dict[str, Scalar]:
    """The changes an arm of a search stands for. Raises PlanError."""
    try:
        changes = json.loads(arm)
        if isinstance(changes, dict) and all(
            isinstance(value, (bool, int, float, str)) for value in changes.values()
        ):
            return {str(name): value for name, value in changes.items()}
    except ValueError:
        pass
    raise PlanError(f"the results hold {arm[:80]!r}, which is no suggestion of a search")


def worded(changes: Recipe) -> str:
    """Changes in one line for people."""
    return ", ".join(f"{name} {value}" for name, value in changes.items())


def _begin(space: Space, subject: Subject, folder: Path) -> None:
    """Fix what is searched; PlanError where the folder holds another search."""
    wanted: dict[str, Any] = {"schema": SCHEMA, "space": asdict(space), "subject": asdict(subject)}
    wanted = json.loads(json.dumps(wanted))
    file = folder / "plan.json"
    if not (folder / "results.jsonl").exists():
        atomic.write_text(file, json.dumps(wanted, indent=2) + "\n")
        return
    try:
        there = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlanError(f"{file} cannot be read: {error}") from None
    if there != wanted:
        raise PlanError(f"{folder} holds another search: ask the same again or choose another out")
    ledger.drop_torn_line(folder / "results.jsonl")
