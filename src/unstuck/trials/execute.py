"""A plan's runs as processes: several at once, whole pairs first, interrupted and resumed."""

import os
import re
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

from unstuck.records import Outcome, Plan
from unstuck.trials import ledger
from unstuck.trials.plan import arms
from unstuck.trials.process import Job, Running, outcome, start, stop
from unstuck.trials.progress import Progress
from unstuck.trials.subject import Subject

POLL = 0.05  # seconds between looks at the running processes


def execute(
    plan: Plan, subject: Subject, folder: Path, workers: int, progress: Progress
) -> tuple[Outcome, ...]:
    """Do the runs of a plan that are not done yet; all outcomes in the plan's order.

    Raises PlanError for a folder with another plan, or where no run can work; KeyboardInterrupt,
    with every process stopped, on Ctrl-C and on being asked to end.
    """
    with ledger.held(folder):
        ledger.begin(folder, plan, subject)
        done = list(ledger.outcomes(folder, plan))
        finished = {(run.arm, run.seed) for run in done}
        jobs = _jobs(plan, folder)
        todo = [job for job in jobs if (job.arm, job.seed) not in finished]
        workers = min(workers, len(jobs))
        runs = _finished_runs(todo, subject, plan.metric, workers)
        with progress, closing(runs):
            progress.begin(done, len(todo), workers)
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


def _finished_runs(
    todo: list[Job], subject: Subject, metric: str, workers: int
) -> Generator[Outcome, None, None]:
    """Outcomes as the runs end, `workers` at a time; stops early when asked to."""
    threads = max(1, cores() // workers)
    running: list[Running] = []
    with _deferred_interrupts() as interrupted:
        try:
            while (todo or running) and not interrupted:
                while todo and len(running) < workers:
                    running.append(start(todo.pop(0), subject, threads))
                time.sleep(POLL)
                for run in [r for r in running if r.process.poll() is not None]:
                    running.remove(run)
                    yield outcome(run, subject, metric)
        finally:
            stop(running)


def cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _jobs(plan: Plan, folder: Path) -> list[Job]:
    """Seed by seed, so that an interrupted trial has whole pairs."""
    recipes = arms(plan)
    names = {arm: f"{i}-{slug(arm)}" for i, arm in enumerate(recipes)}
    return [
        Job(arm, recipe, seed, folder / "arms" / names[arm] / f"seed-{seed}")
        for seed in plan.seeds
        for arm, recipe in recipes.items()
    ]


def slug(name: str) -> str:
    """A name that is safe in a path."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:60].strip("-.") or "unnamed"


@contextmanager
def _deferred_interrupts() -> Iterator[list[int]]:
    """The list of signals to end (Ctrl-C, SIGTERM, SIGHUP) so far, instead of an interrupt that
    could leave a process behind or a line half written.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    numbers = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
    before = {n: signal.signal(n, note) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
