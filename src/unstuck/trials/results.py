"""What came of a run that has ended: its metrics, the codes found in it, or its error."""

import json
import math
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from unstuck.changes import KINDS, fact_of, refusal_of
from unstuck.diagnose import diagnose
from unstuck.load import load_all
from unstuck.records import Outcome, Recipe, Run
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
    error = error or _not_applied(live(job.recipe), watched)
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


def _not_applied(changes: Recipe, runs: list[Run]) -> str:
    """What is wrong where a live change met nothing of its name in the recorded run."""
    facts = {name: value for run in runs for name, value in run.facts.items()}
    for change in changes:
        if "exit/watcher" in facts:
            return f"{change} was not carried out to the end ({facts['exit/watcher']})"
        if refusal_of(change) in facts:
            return f"{change} cannot be carried out: {facts[refusal_of(change)]}"
        if fact_of(change) not in facts:
            seen = {name for run in runs for name in run.series}
            there = sorted(_places(change.split("/")[0], seen, facts))[:5]
            return f"nothing to change: no {change} in the run (it has: {', '.join(there) or '-'})"
    return ""


def _places(kind: str, series: Iterable[str], facts: Iterable[str]) -> list[str]:
    """What the run has that a change of this kind could act on."""
    where = next((known.where for known in KINDS if known.name == kind), "")
    if where == "<loss>/<term>":
        return [f"{kind}/{name.split('/', 1)[1]}" for name in series if name.startswith("term/")]
    what = "optimizer" if where == "<optimizer>" else "parameters"
    if not where.startswith(("<optimizer>", "<model>", "<discriminator>")):
        return []
    return [f"{kind}/{name.split('/')[1]}" for name in facts if name.startswith(f"{what}/")]
