"""What came of a run that has ended: its metrics, the codes found in it, or its error."""

import json
import math
import signal
from pathlib import Path
from typing import Any

from unstuck.changes import unmet
from unstuck.diagnose import diagnose
from unstuck.load import load_all
from unstuck.records import Outcome, Run
from unstuck.source import UnreadableRunError
from unstuck.trials.executor import Job
from unstuck.trials.metric import lines_of, printed, recorded
from unstuck.trials.plan import BASELINE, PlanError, live
from unstuck.trials.subject import Subject

LONGEST_ERROR = 500  # characters
ENDED_BY = {signal.SIGKILL: "killed, maybe out of memory"}


def result_of(job: Job, status: int, seconds: float, subject: Subject, metric: str) -> Outcome:
    """What the files of a run that ended with this exit status say.

    Raises PlanError where no arm could ever give a result.
    """
    metrics, error = _reported(job, status, subject, metric)
    codes, watched = _watched(job.folder / "run") if subject.watch else (None, [])
    metrics |= recorded(_logged(job, subject), metric)
    if metric not in metrics:
        metrics |= recorded(watched, metric)
    error = error or unmet(live(job.recipe), watched)
    if not error and metric not in metrics:
        error = f"no metric '{metric}' (found: {', '.join(sorted(metrics)) or 'none'})"
        if job.arm == BASELINE:
            raise PlanError(f"the baseline ended well, but with {error}")
    elif not error and not math.isfinite(metrics[metric]):
        error = f"{metric} is {metrics[metric]}"
    return Outcome(job.arm, job.seed, metrics, codes, round(seconds, 3), _harmless(error))


def own_folder(job: Job) -> Path:
    """Where a run may leave files of its own: what `{out}` stands for."""
    return (job.folder / "out").resolve()


def _harmless(text: str) -> str:
    """Text from a run, bounded and without control characters: it will be shown."""
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST_ERROR]).strip()


def _reported(job: Job, status: int, subject: Subject, metric: str) -> tuple[dict[str, float], str]:
    if subject.command:
        found = printed(job.folder / "stdout", metric)
        return found, _failure(status, job.folder) if status else ""
    try:
        result: dict[str, Any] = json.loads((job.folder / "result.json").read_text())
    except FileNotFoundError:
        return {}, _failure(status, job.folder)
    if "fatal" in result:
        raise PlanError(f"{result['fatal']} (see {job.folder / 'stderr'})")
    metrics = {name: float(value) for name, value in result.get("metrics", {}).items()}
    return metrics, result.get("error", "")


def _failure(status: int, folder: Path) -> str:
    if status < 0:
        number = signal.Signals(-status)
        return f"ended by {number.name} ({ENDED_BY.get(number, 'not by itself')})"
    last = ""
    with (folder / "stderr").open(encoding="utf-8", errors="replace") as file:
        for line in lines_of(file):
            last = line.strip() or last
    return last or f"exit status {status}"


def _watched(folder: Path) -> tuple[tuple[str, ...] | None, list[Run]]:
    """Codes of severity warning or worse in the recorded run, and what was recorded."""
    try:
        runs = load_all(folder)
    except UnreadableRunError:
        return None, []
    codes = dict.fromkeys(f.code for run in runs for f in diagnose(run).at_least("warning"))
    return tuple(codes), runs


def _logged(job: Job, subject: Subject) -> list[Run]:
    """What the run has logged where the subject says, if anything that can be read."""
    if not subject.log:
        return []
    try:
        return load_all(subject.log.replace("{out}", str(own_folder(job))))
    except UnreadableRunError:
        return []
