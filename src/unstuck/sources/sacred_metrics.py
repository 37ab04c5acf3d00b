"""sacred-metrics: the metrics.json that Sacred's FileStorageObserver keeps for each run.

## What is read

Every metric given to `log_scalar`, with its steps and wall times. What `config.json` beside it
holds is the recipe. A run is named after its folder (Sacred numbers them) where that holds more of
Sacred's files, else after the file.

## How it is recognised

A JSON object whose first entry is an object with lists `steps` or `values` first.

## What is left out

Metrics that are no numbers; of a file that was cut off, the metric that was being written (the run
says so); what the training printed (`cout.txt`), which is text-log's.

## References

- <https://sacred.readthedocs.io/en/stable/collected_information.html#metrics-api>
- <https://sacred.readthedocs.io/en/stable/observers.html>
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from unstuck.reading.assemble import FURTHEST, Readings, assembled, numbered
from unstuck.reading.bounds import MOST_SERIES, content, head
from unstuck.reading.columns import Column
from unstuck.reading.objects import parsed
from unstuck.reading.recipes import flattened
from unstuck.reading.text import decoded
from unstuck.records import Floats, Run, Scalar
from unstuck.source import Source, UnreadableRunError

SOURCE = "sacred-metrics"
MOST = 500_000_000  # bytes
_START = re.compile(
    r'\s*\{\s*"(?:[^"\\]|\\.){1,500}"\s*:\s*\{\s*"(?:steps|timestamps|values)"\s*:\s*\['
)
_NEXT = re.compile(r'[\s,{]*(?="(?:[^"\\]|\\.)*"\s*:)')
_COLON = re.compile(r"\s*:\s*")


def knows(path: Path) -> bool:
    """Whether a file is an object of metrics with steps and values."""
    start = head(path)
    return start.lstrip()[:1] == b"{" and _START.match(decoded(start)) is not None


def read(path: Path) -> list[Run]:
    """The run in a file; UnreadableRunError where it has no metric."""
    text = decoded(content(path, MOST))
    value = parsed(text)
    facts: dict[str, Scalar] = {}
    if not isinstance(value, dict):
        value = _whole_entries(text)
        facts["source/remark"] = f"the file is damaged; read are its first {len(value)} metrics"
    found = {name: r for name, it in value.items() if (r := _readings(it)) is not None}
    if not found:
        raise UnreadableRunError(f"{path} holds no metric with steps and values as Sacred's do")
    readings, unit = numbered(found)
    config = path.with_name("config.json")
    name = path.parent.name if config.exists() and path.parent.name else path.stem
    recipe = flattened(parsed(decoded(head(config))))
    return [assembled(name, readings, SOURCE, recipe=recipe, facts=facts, unit=unit)]


def _readings(metric: object) -> Readings | None:
    """The readings of one metric, in the order they were logged; None where it has none."""
    if not isinstance(metric, dict):
        return None
    values, steps, times = (metric.get(n) for n in ("values", "steps", "timestamps"))
    if not isinstance(values, list) or not isinstance(steps, list) or not values:
        return None
    count = min(len(values), len(steps))
    value, step = _column(values[:count]), _column(steps[:count])
    known = value.present & step.present & np.isfinite(step.value)
    known &= np.abs(np.where(known, step.value, 0.0)) <= FURTHEST
    if not known.any():
        return None
    wall = _wall(times, count)
    return Readings(
        step.value[known].astype(np.int64),
        value.value[known],
        None if wall is None else wall[known],
    )


def _column(cells: Sequence[object]) -> Column:
    return Column.of(["" if isinstance(cell, list | dict) else cell for cell in cells])


def _wall(times: object, count: int) -> Floats | None:
    """Seconds since the epoch, as Sacred means them: in UTC; None where they are not all there."""
    if not isinstance(times, list) or len(times) < count:
        return None
    try:
        said = [datetime.fromisoformat(f"{str(it)[:40]}+00:00") for it in times[:count]]
        return np.array([it.timestamp() for it in said])
    except (ValueError, OverflowError):
        return None


def _whole_entries(text: str) -> dict[str, object]:
    """The entries at the start of an object that was cut off."""
    decoder, place = json.JSONDecoder(), text.find("{") + 1
    found: dict[str, object] = {}
    while len(found) < MOST_SERIES and (start := _NEXT.match(text, place)):
        try:
            name, place = decoder.raw_decode(text, start.end())
            colon = _COLON.match(text, place)
            value, place = decoder.raw_decode(text, colon.end() if colon else place)
        except (ValueError, RecursionError):
            break
        found[str(name)] = value
    return found


sacred_metrics = Source(SOURCE, knows, read)
