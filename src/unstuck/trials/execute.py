"""A plan carried out: which run is next, what is kept of it, when it is enough.

Where the runs take place is the executor's affair (unstuck.trials.executor).
"""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from unstuck.records import Outcome, Plan
from unstuck.trials import ledger
from unstuck.trials.executor import Executor, Job
from unstuck.trials.interrupts import deferred_interrupts
from unstuck.trials.progress import Progress
from unstuck.trials.schedule import jobs_of, needed
from unstuck.trials.subject import Subject

POLL = 0.05  # seconds between looks at the running jobs


def execute(
    plan: Plan, subject: Subject, folder: Path, executor: Executor, progress: Progress
) -> tuple[Outcome, ...]:
    """Do the runs of a plan that are not done yet; all outcomes in the plan's order.

    Raises PlanError for a folder with another plan, or where no run can work; KeyboardInterrupt,
    with every run stopped, on Ctrl-C and on being asked to end.
    """
    with ledger.held(folder):
        ledger.begin(folder, plan, subject)
        done = list(ledger.outcomes(folder, plan))
        jobs = jobs_of(plan, folder)
        todo = needed(plan, jobs, done, {})
        runs = _finished_runs(todo, executor)
        with progress, closing(runs):
            progress.begin(done, len(todo), min(executor.places, len(jobs)))
            for run in runs:
                ledger.append(folder, run)
                done.append(run)
                progress.finished(run)
        if len(done) < len(jobs):
            message = (
                f"stopped after {len(done)} of {len(jobs)} runs; to resume, run the same trial "
                f"again with out={str(folder)!r}"
            )
            progress.say(message)
            raise KeyboardInterrupt(message)
    return ledger.in_order(plan, done)


def _finished_runs(todo: Sequence[Job], executor: Executor) -> Generator[Outcome, None, None]:
    """Outcomes as the runs end; stops early when asked to."""
    waiting = list(todo)
    with deferred_interrupts() as interrupted:
        try:
            while (waiting or executor.running()) and not interrupted:
                while waiting and len(executor.running()) < executor.places:
                    executor.start(waiting.pop(0))
                time.sleep(POLL)
                yield from executor.finished()
        finally:
            executor.stop()
