"""What came of a run that has ended: its metrics, the codes found in it, or its error."""

import json
import math
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from unstuck.changes import fact_of
from unstuck.diagnose import diagnose
from unstuck.load import load_all
from unstuck.records import Outcome, Recipe, Run
from unstuck.source import UnreadableRunError
from unstuck.trials.executor import Job
from unstuck.trials.plan import BASELINE, PlanError, live
from unstuck.trials.subject import Subject

LONGEST_LINE = 100_000  # characters of one line of a command's output that are looked at
LONGEST_ERROR = 500  # characters
NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)(?:inity)?)"
ENDED_BY = {signal.SIGKILL: "killed, maybe out of memory"}


def result_of(job: Job, status: int, seconds: float, subject: Subject, metric: str) -> Outcome:
    """What the files of a run that ended with this exit status say.

    Raises PlanError where no arm could ever give a result.
    """
    metrics, error = _reported(job, status, subject, metric)
    codes, recorded = _recorded(job.folder / "run") if subject.watch else (None, [])
    if metric not in metrics:
        metrics |= _from_series(recorded, metric)
    error = error or _not_applied(live(job.recipe), recorded)
    if not error and metric not in metrics:
        error = f"no metric '{metric}' (found: {', '.join(sorted(metrics)) or 'none'})"
        if job.arm == BASELINE:
            raise PlanError(f"the baseline ended well, but with {error}")
    elif not error and not math.isfinite(metrics[metric]):
        error = f"{metric} is {metrics[metric]}"
    return Outcome(job.arm, job.seed, metrics, codes, round(seconds, 3), _harmless(error))


def _harmless(text: str) -> str:
    """Text from a run, bounded and without control characters: it will be shown."""
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST_ERROR]).strip()


def _reported(job: Job, status: int, subject: Subject, metric: str) -> tuple[dict[str, float], str]:
    if subject.command:
        printed = _printed(job.folder / "stdout", metric)
        return printed, _failure(status, job.folder) if status else ""
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
