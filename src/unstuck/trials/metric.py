"""The number a run is judged by: from what it printed, from what was recorded or logged of it.

The end of a training loss is noisy, one batch each: its mean over the last 5 % of its readings
stands for it. A number that was measured for its own sake, such as a validation metric, is its last
reading. A loss to which a live change adds a term is compared as the script wrote it.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from unstuck.records import Run, Series

LONGEST_LINE = 100_000  # characters of one line of a command's output that are looked at
NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)(?:inity)?)"
TAIL = 20  # the last reading of so many stands for the end of a noisy series
NOISY = ("loss/", "objective/", "term/")
PLACES = ("metric/val", "metric/train", "objective", "loss")


def printed(file: Path, metric: str) -> dict[str, float]:
    """The metric's last value in a command's output: `name: value`, `name=value` or JSON."""
    pattern = re.compile(rf"(?<![\w/.-]){re.escape(metric)}\"?\s*[:=]\s*{NUMBER}", re.IGNORECASE)
    found = None
    with file.open(encoding="utf-8", errors="replace") as output:
        for line in lines_of(output):
            for match in pattern.finditer(line):
                found = match[1]
    return {} if found is None else {metric: float(found)}


def lines_of(file: IO[str]) -> Iterator[str]:
    """The lines of a file, long ones in pieces."""
    while line := file.readline(LONGEST_LINE):
        yield line


def recorded(runs: Sequence[Run], metric: str) -> dict[str, float]:
    """The metric in recorded runs, the last run first; empty where none has it.

    >>> recorded([Run.of(loss__fit=[3.0, 2.0])], "fit")
    {'fit': 2.0}
    """
    for name in _names(metric):
        for run in reversed(runs):
            for series in _called(run, name):
                if len(series):
                    return {metric: _end(run, series)}
    return {}


def _names(metric: str) -> list[str]:
    """What a metric may be called in a run, the one to be compared first."""
    if metric.startswith("loss/"):
        return [f"objective/{metric.removeprefix('loss/')}", metric]
    return [metric, *(f"{place}/{metric}" for place in PLACES)]


def _called(run: Run, name: str) -> list[Series]:
    """The series of that name, or logged under it."""
    logged = [n for n in run.series if run.facts.get(f"logged/{n}") == name]
    return [run.series[n] for n in dict.fromkeys([name, *logged]) if n in run.series]


def _end(run: Run, series: Series) -> float:
    noisy = series.name.startswith(NOISY) and run.roles.get(series.name) != "validation"
    count = max(1, len(series) // TAIL) if noisy else 1
    return float(np.mean(series.value[-count:]))
