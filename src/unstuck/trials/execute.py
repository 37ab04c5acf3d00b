"""A plan carried out: which run is next, what is kept of it, when it is enough.

Where the runs take place is the executor's affair (unstuck.trials.executor).
"""

import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from unstuck.records import Outcome, Plan
from unstuck.trials import ledger
from unstuck.trials.budget import Budget, Resources
from unstuck.trials.executor import Executor
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
    with ledger.held(folder):
        ledger.begin(folder, plan, subject)
        done = list(ledger.outcomes(folder, plan))
        agenda = Agenda(plan, folder, done)
        budget = Budget(resources.seconds, resources.runs) if resources else Budget()
        with progress, deferred_interrupts() as interrupted:
            progress.begin(done, len(agenda.left), executor.places)
            with closing(_finished_runs(agenda, executor, budget, interrupted)) as runs:
                for run in runs:
                    ledger.append(folder, run)
                    agenda.add(run)
                    progress.finished(run, len(agenda.left))
            if agenda.left:
                why = _unfinished(agenda, folder, budget, bool(interrupted))
                progress.say(why)
                if interrupted:
                    raise KeyboardInterrupt(why)
    return ledger.in_order(plan, agenda.outcomes)


def _finished_runs(
    agenda: Agenda, executor: Executor, budget: Budget, interrupted: list[int]
) -> Generator[Outcome, None, None]:
    """Outcomes as the runs end; the taker puts each on the agenda before it asks for the next."""
    try:
        while agenda.left and not interrupted and not budget.over:
            for job in agenda.unneeded(executor.running()):
                executor.cancel(job)
            for job in agenda.waiting(executor.running()):
                if len(executor.running()) >= executor.places or budget.spent():
                    break
                executor.start(job)
                budget.begin()
            if not executor.running():
                return
            time.sleep(POLL)
            for run in executor.finished():
                budget.took(run.seconds)
                yield run
    finally:
        executor.stop()


def _unfinished(agenda: Agenda, folder: Path, budget: Budget, interrupted: bool) -> str:
    done = len(agenda.outcomes)
    how = "stopped" if interrupted else f"the budget of {budget.spent()} is spent"
    return (
        f"{how} after {done} of {done + len(agenda.left)} runs; to resume, run the same trial "
        f"again with out={str(folder)!r}"
    )
