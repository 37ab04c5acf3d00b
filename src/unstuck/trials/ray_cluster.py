"""Runs on a Ray cluster: each is a task on whatever node has room for it.

A run whose node or worker is lost begins anew on another one; a training that crashes is a result.
Ray brings the function `carry_out` and plain text to the nodes, which have unstuck installed; what
a run leaves behind comes back into its folder here, bounded.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unstuck.records import Outcome
from unstuck.trials.artefacts import UnsafeArtefactError, unpack
from unstuck.trials.executor import Job
from unstuck.trials.plan import PlanError
from unstuck.trials.ray_connection import connected, one_line
from unstuck.trials.ray_task import answered, carry_out, request
from unstuck.trials.subject import Subject

RETRIES = 3  # times a run begins anew after its node or worker was lost
LOOK = 2.0  # seconds for which the cluster's places are taken as they were
PATIENCE = 300.0  # seconds without any place for a run before the trial is given up
GRACE = 15.0  # seconds a cancelled task gets to end its training before its worker is killed


class RayExecutor:
    """An executor (unstuck.trials.executor) on a Ray cluster.

    address: "auto" (a cluster that runs on this machine), "host:port", "ray://host:10001", or
        "local", which starts one here for the length of the trial.
    cpus, gpus: what one run takes; a fraction of a GPU lets several runs share it.
    ship: a folder that Ray copies to the nodes, where they share no file system with this machine.

    Raises PlanError where there is no Ray, no cluster, or no node that has what a run takes.
    """

    def __init__(
        self,
        address: str,
        subject: Subject,
        metric: str,
        *,
        cpus: int = 1,
        gpus: float = 0.0,
        ship: str | Path | None = None,
    ) -> None:
        if cpus < 1 or gpus < 0 or (gpus > 1 and gpus % 1):
            raise PlanError(
                f"a run takes at least 1 processor core, and a part of one GPU or several whole "
                f"ones, not {cpus} cores and {gpus:g} GPUs"
            )
        self.subject, self.metric, self.cpus, self.gpus = subject, metric, cpus, gpus
        self.ship = None if ship is None else Path(ship).resolve()
        self._ray, self._ours = connected(address, self.ship)
        self._task = self._ray.remote(
            num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES, retry_exceptions=False
        )(carry_out)
        self._running: list[tuple[Job, Any]] = []
        self._ending: list[Any] = []  # tasks that were cancelled and may still run
        self._room, self._looked, self._roomless = 0, -LOOK, time.monotonic()
        if not self._look():
            self.stop()
            raise PlanError(
                f"no node of the Ray cluster has what a run takes: {cpus} cores, {gpus:g} GPUs"
            )

    @property
    def places(self) -> int:
        """Never none: a cluster that has lost its nodes may get others, and Ray holds the task."""
        return max(1, self._look())

    def start(self, job: Job) -> None:
        text = request(job, self.subject, self.metric, self.cpus, self.ship)
        self._running.append((job, self._task.remote(text)))

    def running(self) -> Sequence[Job]:
        return [job for job, _ in self._running]

    def finished(self) -> Sequence[Outcome]:
        if not self._look() and time.monotonic() - self._roomless > PATIENCE:
            raise PlanError(
                f"the Ray cluster has had no room for a run for {PATIENCE:.0f} s: resume the trial "
                f"when it has"
            )
        refs = [ref for _, ref in self._running]
        if not refs:
            return []
        ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        found = []
        for job, ref in [pair for pair in self._running if pair[1] in ready]:
            self._running = [pair for pair in self._running if pair[1] != ref]
            found.append(self._outcome(job, ref))
        return found

    def cancel(self, job: Job) -> None:
        for ref in [ref for running, ref in self._running if running == job]:
            self._cancel(ref)

    def stop(self) -> None:
        for _, ref in list(self._running):
            self._cancel(ref)
        if self._ending:
            _, left = self._ray.wait(self._ending, num_returns=len(self._ending), timeout=GRACE)
            for ref in left:
                self._ray.cancel(ref, force=True)
        self._ending = []
        if self._ours and self._ray.is_initialized():
            self._ray.shutdown()

    def _look(self) -> int:
        """Runs for which the cluster's nodes have room."""
        now = time.monotonic()
        if now - self._looked >= LOOK:
            alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._room = sum(room(resources, self.cpus, self.gpus) for resources in alive)
            self._looked = now
        if self._room:
            self._roomless = now
        return self._room

    def _cancel(self, ref: Any) -> None:
        self._running = [pair for pair in self._running if pair[1] != ref]
        self._ray.cancel(ref)
        self._ending.append(ref)

    def _outcome(self, job: Job, ref: Any) -> Outcome:
        errors = self._ray.exceptions
        try:
            text, files = self._ray.get(ref)
        except errors.RayTaskError as error:  # our own code failed there, not the training
            cause = getattr(error, "cause", None) or error
            raise PlanError(f"a node cannot carry out runs: {one_line(cause)}") from None
        except (errors.RuntimeEnvSetupError, errors.TaskUnschedulableError) as error:
            raise PlanError(f"Ray cannot carry out runs: {one_line(error)}") from None
        except errors.RayError as error:
            kind = type(error).__name__
            lost = f"its worker or node was lost in each of {1 + RETRIES} attempts ({kind})"
            return Outcome(job.arm, job.seed, error=lost)
        try:
            unpack(files, job.folder)
        except UnsafeArtefactError as error:
            raise PlanError(str(error)) from error
        return answered(text, job.folder)


def room(resources: Mapping[str, float], cpus: int, gpus: float) -> int:
    """Runs that fit on a node at a time.

    >>> room({"CPU": 8.0, "GPU": 2.0}, 1, 0.5), room({"CPU": 8.0}, 3, 0), room({"CPU": 8.0}, 1, 1)
    (4, 2, 0)
    """
    by_cpu = int(resources.get("CPU", 0.0) // cpus)
    if not gpus:
        return by_cpu
    there = resources.get("GPU", 0.0)
    by_gpu = int(there // gpus) if gpus > 1 else int(there) * int(1 / gpus + 1e-9)
    return min(by_cpu, by_gpu)
