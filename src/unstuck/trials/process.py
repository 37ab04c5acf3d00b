"""One arm with one seed as a process: started, stopped, and what came of it."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from unstuck import atomic
from unstuck.changes import fact_of
from unstuck.diagnose import diagnose
from unstuck.load import load_all
from unstuck.records import Outcome, Recipe, Run
from unstuck.source import UnreadableRunError
from unstuck.trials.plan import BASELINE, PlanError, asked, live
from unstuck.trials.subject import Subject, filled

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
GRACE = 5.0  # seconds a run gets to end by itself before it is killed
LONGEST_LINE = 100_000  # characters of one line of a command's output that are looked at
LONGEST_ERROR = 500  # characters
NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)(?:inity)?)"
ENDED_BY = {signal.SIGKILL: "killed, maybe out of memory"}


@dataclass(frozen=True, slots=True)
class Job:
    """One run to do: an arm's whole recipe, a seed, and a folder for its files."""

    arm: str
    recipe: Recipe
    seed: int
    folder: Path


@dataclass(slots=True)
class Running:
    """A run under way."""

    job: Job
    process: subprocess.Popen[bytes]
    started: float


def start(job: Job, subject: Subject, threads: int) -> Running:
    """Start the run in a session of its own, so that Ctrl-C reaches unstuck alone."""
    shutil.rmtree(job.folder, ignore_errors=True)  # what an interrupted run left
    job.folder.mkdir(parents=True)
    result = job.folder / "result.json"
    fields = asked(job.recipe)
    if subject.command:
        words = filled(subject.command, fields, job.seed)
    else:
        task = {
            "train": subject.train,
            "path": subject.path,
            "recipe": fields,
            "seed": job.seed,
            "result": str(result.resolve()),
        }
        atomic.write_text(job.folder / "job.json", json.dumps(task))
        words = [sys.executable, "-m", "unstuck.trials.worker", str(job.folder / "job.json")]
    with (job.folder / "stdout").open("wb") as out, (job.folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=_environment(job, subject, threads),
            start_new_session=True,
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
    seconds = round(time.monotonic() - run.started, 3)
    metrics, error = _reported(run, subject, metric)
    codes, recorded = _recorded(run.job.folder / "run") if subject.watch else (None, [])
    if metric not in metrics:
        metrics |= _from_series(recorded, metric)
    error = error or _not_applied(live(run.job.recipe), recorded)
    if not error and metric not in metrics:
        error = f"no metric '{metric}' (found: {', '.join(sorted(metrics)) or 'none'})"
        if run.job.arm == BASELINE:
            raise PlanError(f"the baseline ended well, but with {error}")
    elif not error and not math.isfinite(metrics[metric]):
        error = f"{metric} is {metrics[metric]}"
    return Outcome(run.job.arm, run.job.seed, metrics, codes, seconds, _harmless(error))


def _harmless(text: str) -> str:
    """Text from a run, bounded and without control characters: it will be shown."""
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST_ERROR]).strip()


def _environment(job: Job, subject: Subject, threads: int) -> dict[str, str]:
    if subject.watch:
        from unstuck.watcher.launch import environment  # only here are runs watched

        name = f"{job.arm}, seed {job.seed}"
        recipe = {**asked(job.recipe), "seed": job.seed}
        env = environment(job.folder / "run", live(job.recipe), name, recipe=recipe)
    else:
        env = dict(os.environ)
    for name in THREADS:
        given = env.get(name, "")
        env[name] = str(min(int(given), threads) if given.isdigit() else threads)
    env.setdefault("PYTHONHASHSEED", "0")  # pairs see sets in the same order
    return env


def _reported(run: Running, subject: Subject, metric: str) -> tuple[dict[str, float], str]:
    status, folder = run.process.returncode, run.job.folder
    if subject.command:
        return _printed(folder / "stdout", metric), _failure(status, folder) if status else ""
    try:
        result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    except FileNotFoundError:
        return {}, _failure(status, folder)
    if "fatal" in result:
        raise PlanError(f"{result['fatal']} (see {folder / 'stderr'})")
    metrics = {name: float(value) for name, value in result.get("metrics", {}).items()}
    return metrics, result.get("error", "")


def _failure(status: int, folder: Path) -> str:
    if status < 0:
        number = signal.Signals(-status)
        return f"ended by {number.name} ({ENDED_BY.get(number, 'not by itself')})"
    last = ""
    with (folder / "stderr").open(encoding="utf-8", errors="replace") as file:
        for line in _lines(file):
            last = line.strip() or last
    return last or f"exit status {status}"


def _printed(file: Path, metric: str) -> dict[str, float]:
    """The metric's last value in a command's output: `name: value`, `name=value` or JSON."""
    pattern = re.compile(rf"(?<![\w/.-]){re.escape(metric)}\"?\s*[:=]\s*{NUMBER}", re.IGNORECASE)
    found = None
    with file.open(encoding="utf-8", errors="replace") as output:
        for line in _lines(output):
            for match in pattern.finditer(line):
                found = match[1]
    return {} if found is None else {metric: float(found)}


def _lines(file: IO[str]) -> Iterator[str]:
    while line := file.readline(LONGEST_LINE):
        yield line


def _recorded(folder: Path) -> tuple[tuple[str, ...] | None, list[Run]]:
    """Codes of severity warning or worse in the recorded run, and what was recorded."""
    try:
        runs = load_all(folder)
    except UnreadableRunError:
        return None, []
    codes = dict.fromkeys(f.code for run in runs for f in diagnose(run).at_least("warning"))
    return tuple(codes), runs


def _from_series(runs: list[Run], metric: str) -> dict[str, float]:
    for name in (metric, f"metric/val/{metric}", f"metric/train/{metric}", f"loss/{metric}"):
        for run in reversed(runs):
            if name in run.series and len(run.series[name]):
                return {metric: float(run.series[name].value[-1])}
    return {}


def _not_applied(changes: Recipe, runs: list[Run]) -> str:
    """What is wrong where a live change met nothing of its name in the recorded run."""
    facts = {name: value for run in runs for name, value in run.facts.items()}
    for change in changes:
        if "exit/watcher" in facts:
            return f"{change} was not carried out to the end ({facts['exit/watcher']})"
        if fact_of(change) not in facts:
            kind = change.split("/")[0]
            seen = {name for run in runs for name in run.series}
            there = sorted(name for name in seen if name.startswith(f"{kind}/"))[:5]
            return f"nothing to change: no {change} in the run (it has: {', '.join(there) or '-'})"
    return ""


def _signal(run: Running, number: signal.Signals) -> None:
    try:
        os.killpg(run.process.pid, number)
    except ProcessLookupError:
        return
