"""One arm with one seed as a process: started, stopped, and what came of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unstuck import atomic
from unstuck.records import Outcome
from unstuck.trials.executor import Job
from unstuck.trials.libraries import slow_libraries
from unstuck.trials.orphans import dies_with_us, end_processes_of, marked
from unstuck.trials.plan import asked, live
from unstuck.trials.results import own_folder, result_of
from unstuck.trials.subject import Subject, filled
from unstuck.trials.warm import Process, Warm

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
GRACE = 5.0  # seconds a run gets to end by itself before it is killed


@dataclass(slots=True)
class Running:
    """A run under way."""

    job: Job
    process: Process
    started: float


def start(job: Job, subject: Subject, threads: int, warm: Warm | None = None) -> Running:
    """Start the run in a session of its own, so that Ctrl-C reaches unstuck alone.

    `warm` forks it from a process with torch loaded, where that can be done.
    """
    if job.folder.exists():  # what an interrupted run left
        end_processes_of(job.folder)
        shutil.rmtree(job.folder, ignore_errors=True)
    own_folder(job).mkdir(parents=True)
    words = words_of(job, subject)
    env = _environment(job, subject, words, threads)
    with (job.folder / "stdout").open("wb") as out, (job.folder / "stderr").open("wb") as err:
        libraries = slow_libraries(words, subject) if warm is not None else None
        forked = (
            warm.start(words, env, Path.cwd(), out, err, libraries)
            if warm is not None and libraries is not None
            else None
        )
        process = forked or subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=env,
            start_new_session=True,
            preexec_fn=dies_with_us(),
        )
    return Running(job, process, time.monotonic())


def stop(running: list[Running]) -> None:
    """End the runs and everything they started; those that do not listen are killed."""
    for run in running:
        _signal(run, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    for run in running:
        try:
            run.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(run, signal.SIGKILL)
            run.process.wait()


def outcome(run: Running, subject: Subject, metric: str) -> Outcome:
    """What came of a run whose process has ended.

    Raises PlanError where no arm could ever give a result.
    """
    seconds = time.monotonic() - run.started
    return result_of(run.job, run.process.wait(), seconds, subject, metric)


def words_of(job: Job, subject: Subject) -> list[str]:
    """The command line of a run; what a function is given is written beside it."""
    fields = asked(job.recipe)
    if subject.command:
        return filled(subject.command, fields, job.seed, str(own_folder(job)))
    task = {
        "train": subject.train,
        "path": subject.path,
        "recipe": fields,
        "seed": job.seed,
        "result": str((job.folder / "result.json").resolve()),
    }
    atomic.write_text(job.folder / "job.json", json.dumps(task))
    return [sys.executable, "-m", "unstuck.trials.worker", str(job.folder / "job.json")]


def _environment(job: Job, subject: Subject, words: Sequence[str], threads: int) -> dict[str, str]:
    if subject.watch:
        from unstuck.watcher.launch import environment, recipe_of  # only here are runs watched

        name = f"{job.arm}, seed {job.seed}"
        said = recipe_of(words[1:]) if subject.command else {}  # as `unstuck run` records it
        recipe = {**asked(job.recipe), **said, "seed": job.seed}
        seed = job.seed if subject.reseed else None
        env = environment(job.folder / "run", live(job.recipe), name, recipe=recipe, seed=seed)
    else:
        env = dict(os.environ)
    for name in THREADS:
        given = env.get(name, "")
        env[name] = str(min(int(given), threads) if given.isdigit() else threads)
    env.setdefault("PYTHONHASHSEED", "0")  # pairs see sets in the same order
    return env | marked(job.folder)


def _signal(run: Running, number: signal.Signals) -> None:
    try:
        os.killpg(run.process.pid, number)
    except ProcessLookupError:
        return
