"""A plan carried out: which run is next, what is kept of it, when it is enough.

Where the runs take place is the executor's affair (unstuck.trials.executor).
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from unstuck.records import Outcome, Plan
from unstuck.trials import ledger
from unstuck.trials.budget import Budget, Resources
from unstuck.trials.cache import Cache
from unstuck.trials.code import changed_since, files_of, state_of
from unstuck.trials.executor import Executor, Job
from unstuck.trials.interrupts import deferred_interrupts
from unstuck.trials.progress import Progress
from unstuck.trials.schedule import Agenda
from unstuck.trials.subject import Subject

POLL = 0.05  # seconds between looks at the running jobs


def execute(
    plan: Plan,
    subject: Subject,
    folder: Path,
    executor: Executor,
    progress: Progress,
    resources: Resources | None = None,
) -> tuple[Outcome, ...]:
    """Do the runs of a plan that are still needed, as far as the budget goes; all outcomes there
    are then, in the plan's order.

    Raises PlanError for a folder with another plan, or where no run can work; KeyboardInterrupt,
    with every run stopped, on Ctrl-C and on being asked to end.
    """
    resources = resources or Resources()
    try:
        with ledger.held(folder):
            ledger.begin(folder, plan, subject)
            agenda = Agenda(plan, folder, ledger.outcomes(folder, plan))
            if agenda.left:
                _carry_out(agenda, subject, folder, executor, progress, resources)
    finally:
        executor.stop()  # it may hold a cluster, whether anything was to be run or not
    return ledger.in_order(plan, agenda.outcomes)


def _carry_out(
    agenda: Agenda,
    subject: Subject,
    folder: Path,
    executor: Executor,
    progress: Progress,
    resources: Resources,
) -> None:
    cache = Cache(agenda.plan, subject) if resources.cache else None
    code = state_of(files_of(subject))
    course = Course(agenda, executor, Budget(resources.seconds, resources.runs), cache)
    with progress, deferred_interrupts() as interrupted:
        progress.begin(agenda.outcomes, len(agenda.left), executor.places)
        with closing(course.finished_runs(interrupted, progress.running)) as runs:
            for run, kept in runs:
                ledger.append(folder, run, kept)
                agenda.add(run)
                progress.finished(run, len(agenda.left), kept)
        if changed := changed_since(code):
            progress.say(
                f"{changed[0].name} changed while the trial ran: its runs are not of one code"
            )
        if agenda.left:
            why = course.why_unfinished(folder, bool(interrupted))
            progress.say(why)
            if interrupted:
                raise KeyboardInterrupt(why)


class Course:
    """The course of a trial from here on: jobs begun, their outcomes, what they cost."""

    def __init__(
        self, agenda: Agenda, executor: Executor, budget: Budget, cache: Cache | None
    ) -> None:
        self.agenda = agenda
        self.executor = executor
        self.budget = budget
        self.cache = cache
        self._not_kept: set[tuple[str, int]] = set()

    def finished_runs(
        self, interrupted: list[int], tell: Callable[[Sequence[Job], int], object]
    ) -> Generator[tuple[Outcome, bool], None, None]:
        """Outcomes as the runs end, and whether each was kept from before. The taker puts each on
        the agenda before it asks for the next; `tell` hears what runs, and how much could.
        """
        try:
            while self.agenda.left and not interrupted and not self.budget.over:
                for job in self.agenda.unneeded(self.executor.running()):
                    self.executor.cancel(job)
                while kept := self._begin():
                    yield kept, True
                if not self.executor.running():
                    return
                tell(self.executor.running(), self.executor.places)
                time.sleep(POLL)
                for run in self.executor.finished():
                    self.budget.took(run.seconds)
                    if self.cache:
                        self.cache.keep(self.agenda.job_of(run), run)
                    yield run, False
        finally:
            self.executor.stop()

    def _begin(self) -> Outcome | None:
        """Begin jobs while there is room; what was done before comes back at once."""
        for job in self.agenda.waiting(self.executor.running()):
            if self.cache and (job.arm, job.seed) not in self._not_kept:
                if kept := self.cache.found(job):
                    return kept
                self._not_kept.add((job.arm, job.seed))
            if len(self.executor.running()) >= self.executor.places or self.budget.spent():
                break
            self.executor.start(job)
            self.budget.begin()
        return None

    def why_unfinished(self, folder: Path, interrupted: bool) -> str:
        done, left = len(self.agenda.outcomes), len(self.agenda.left)
        how = "stopped" if interrupted else f"the budget of {self.budget.spent()} is spent"
        return (
            f"{how} after {done} of {done + left} runs; to resume, run the same trial again "
            f"with out={str(folder)!r}"
        )
