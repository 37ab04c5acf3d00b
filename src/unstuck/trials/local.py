"""Runs as processes of this machine, as many at a time as it has room for."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from unstuck.records import Outcome
from unstuck.trials.code import files_of, uses_torch
from unstuck.trials.executor import Job
from unstuck.trials.memory import free_bytes, resident_bytes
from unstuck.trials.process import Running, outcome, start, stop
from unstuck.trials.subject import Subject
from unstuck.trials.warm import GPU, shared

LOOK = 0.5  # seconds between looks at the memory the runs take


class Local:
    """An executor (unstuck.trials.executor): `workers` processes, the cores shared between them.

    A further run is begun only where the largest run so far would fit beside those that run, once
    they are as large. The first ones are begun without that: their size is not known yet.
    """

    def __init__(
        self,
        subject: Subject,
        metric: str,
        workers: int | None = None,
        free: Callable[[], int | None] = free_bytes,
    ) -> None:
        self.subject = subject
        self.metric = metric
        self.workers = workers or usual_workers(subject)
        self.largest = 0  # bytes
        self._free = free
        self._running: list[Running] = []
        self._sizes: dict[int, int] = {}  # bytes of each run, by process
        self._looked = 0.0
        self._warm = shared() if uses_torch(files_of(subject)) else None

    @property
    def places(self) -> int:
        begun = len(self._running)
        return self.workers if not begun or self._another_fits() else min(self.workers, begun)

    def start(self, job: Job) -> None:
        self._running.append(start(job, self.subject, max(1, cores() // self.workers), self._warm))

    def running(self) -> Sequence[Job]:
        return [run.job for run in self._running]

    def finished(self) -> Sequence[Outcome]:
        self._look()
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

    def _look(self) -> None:
        if self._running and time.monotonic() - self._looked > LOOK:
            self._sizes = resident_bytes({run.process.pid for run in self._running})
            self.largest = max(self.largest, *self._sizes.values())
            self._looked = time.monotonic()

    def _another_fits(self) -> bool:
        free = self._free() if self.largest else None
        if free is None:
            return True
        still_to_come = sum(
            max(0, self.largest - self._sizes.get(run.process.pid, 0)) for run in self._running
        )
        return free - still_to_come >= self.largest


def usual_workers(subject: Subject) -> int:
    """Runs at a time unless said otherwise: as many as there are cores; one where it may train on
    a GPU, which several would have to share.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")
    gpu = not hidden and any(Path(device).exists() for device in GPU)
    return 1 if gpu and uses_torch(files_of(subject)) else cores()


def cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
