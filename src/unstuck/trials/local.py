"""Runs as processes of this machine, as many at a time as it has room for."""

import os
from collections.abc import Sequence

from unstuck.records import Outcome
from unstuck.trials.executor import Job
from unstuck.trials.process import Running, outcome, start, stop
from unstuck.trials.subject import Subject


class Local:
    """An executor (unstuck.trials.executor): `workers` processes, the cores shared between them."""

    def __init__(self, subject: Subject, metric: str, workers: int | None = None) -> None:
        self.subject = subject
        self.metric = metric
        self.workers = workers or cores()
        self._running: list[Running] = []

    @property
    def places(self) -> int:
        return self.workers

    def start(self, job: Job) -> None:
        self._running.append(start(job, self.subject, max(1, cores() // self.workers)))

    def running(self) -> Sequence[Job]:
        return [run.job for run in self._running]

    def finished(self) -> Sequence[Outcome]:
        ended = [run for run in self._running if run.process.poll() is not None]
        for run in ended:
            self._running.remove(run)
        return [outcome(run, self.subject, self.metric) for run in ended]

    def cancel(self, job: Job) -> None:
        ended = [run for run in self._running if run.job == job]
        self._running = [run for run in self._running if run.job != job]
        stop(ended)

    def stop(self) -> None:
        ended, self._running = self._running, []
        stop(ended)


def cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
