"""mlflow-store: what MLflow keeps on disk: `mlruns/` directories and its SQLite database.

## What is read

Every run that has metrics, named `<experiment>/<run name>`: each metric with its steps and
timestamps (nested names such as `train/loss` too), the parameters as its recipe. Where all was
logged without a step, readings are numbered by themselves. A restarted run writes some steps anew:
the later readings count.

Lines of a metric that are damaged, and a last line that is cut off, are left out; how many stands
in `source/remark`.

## How it is recognised

A directory by a `meta.yaml` of MLflow's in it (a run, an experiment) or in a directory below it (a
store); a file by being a SQLite database with the tables `experiments`, `runs`, `metrics` and
`params`. Databases are opened for reading only, and refused where one of these is no plain table.

## What is left out

Deleted runs, runs without metrics, tags, artifacts, models, traces, data sets. Tracking servers and
other databases: export the runs, or give the SQLite file.

## References

- backend stores: https://mlflow.org/docs/latest/self-hosting/architecture/backend-store/
- metrics: https://mlflow.org/docs/latest/ml/tracking/tracking-api/
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from unstuck.reading.assemble import FURTHEST, Readings, assembled, numbered
from unstuck.reading.bounds import MOST_READINGS, MOST_SERIES, content, head
from unstuck.reading.database import check_tables, has_tables, opened
from unstuck.reading.recipes import MOST_SETTINGS, flattened, yaml_settings
from unstuck.records import Run, Scalar
from unstuck.source import Source, UnreadableRunError

TABLES = {
    "experiments": {"experiment_id", "name"},
    "runs": {"run_uuid", "name", "experiment_id", "lifecycle_stage"},
    "metrics": {"run_uuid", "key", "value", "timestamp", "step", "is_nan"},
    "params": {"run_uuid", "key", "value"},
}
META = "meta.yaml"
MOST_CHILDREN = 1_000  # directories that are looked into for a meta.yaml
LONGEST_PARAMETER = 8_000
INFINITE = 1.7976931348623157e308  # what the database has for an infinite value
Rows = list[tuple[int, float, int]]  # timestamp in ms, value, step


def knows(path: Path) -> bool:
    """Whether a path is a run, an experiment or a store of MLflow's, or its database."""
    if not path.is_dir():
        return has_tables(path, TABLES.keys())
    return _is_meta(path / META) or any(_is_meta(f / META) for f in _folders(path)[:MOST_CHILDREN])


def read(path: Path) -> list[Run]:
    """Every run with metrics."""
    runs: list[Run] = []
    error: UnreadableRunError | None = None
    if path.is_dir():
        for folder in _runs_of(path):
            try:
                runs += _of_run(folder)
            except UnreadableRunError as met:
                error = error or met
    else:
        runs = list(_of_database(path))
    if not runs:
        raise error or UnreadableRunError(
            f"{path} holds no run with metrics; `mlflow.log_metric` logs them"
        )
    return list(_told_apart(sorted(runs, key=_began)))


def _began(run: Run) -> float:
    return min(float(s.wall[0]) for s in run.series.values() if s.wall is not None)


def _told_apart(runs: list[Run]) -> Iterator[Run]:
    """The runs, with a number behind a name that several of them have."""
    shared = Counter(run.name for run in runs)
    seen: Counter[str] = Counter()
    for run in runs:
        seen[run.name] += 1
        number = f"~{seen[run.name]}" if shared[run.name] > 1 else ""
        yield replace(run, name=f"{run.name}{number}")


def _run(name: str, rows: dict[str, Rows], recipe: dict[str, Scalar], remark: str) -> Run:
    series = {}
    for key, readings in rows.items():
        wall, value, step = zip(*readings, strict=True)
        series[key] = Readings(
            np.array(step, dtype=np.int64),
            np.array(value, dtype=np.float64),
            np.array(wall, dtype=np.float64) / 1000,
        )
    facts: dict[str, Scalar] = {"source/remark": remark} if remark else {}
    counted, unit = numbered(series)
    return assembled(name, counted, "mlflow-store", recipe=recipe, facts=facts, unit=unit)


def _runs_of(path: Path) -> Iterator[Path]:
    """The runs of a store, of an experiment, or the one a run's own directory holds."""
    if (path / "metrics").is_dir():
        yield path
        return
    for child in _folders(path):
        if (child / "metrics").is_dir():
            yield child
        elif _is_meta(child / META):
            yield from (run for run in _folders(child) if (run / "metrics").is_dir())


def _of_run(folder: Path) -> Iterator[Run]:
    meta = _meta(folder)
    if meta.get("lifecycle_stage") == "deleted":
        return
    rows: dict[str, Rows] = {}
    left_out = 0
    for file in _files(folder / "metrics"):
        readings, damaged = _metric(content(file))
        left_out += damaged
        if readings:
            rows[file.relative_to(folder / "metrics").as_posix()] = readings
        if len(rows) > MOST_SERIES or sum(map(len, rows.values())) > MOST_READINGS:
            raise UnreadableRunError(f"{folder} holds more metrics than are read")
    if not rows:
        return
    parameters = [
        (file.relative_to(folder / "params").as_posix(), _text(file))
        for file in _files(folder / "params")
    ]
    experiment = _meta(folder.parent).get("name") or folder.parent.name
    name = meta.get("run_name") or _text(folder / "tags" / "mlflow.runName") or folder.name
    remark = f"damaged lines that were left out: {left_out:,}" if left_out else ""
    yield _run(f"{experiment}/{name}", rows, _recipe(parameters), remark)


def _metric(data: bytes) -> tuple[Rows, int]:
    """The readings of one metric's file and how many of its lines are none.

    >>> _metric(b"1700000000000 0.5 1\\n1700000000500 nan 2\\nx\\n17000")
    ([(1700000000000, 0.5, 1), (1700000000500, nan, 2)], 2)
    """
    found: Rows = []
    lines = data.split(b"\n")
    damaged = int(bool(lines.pop()))  # what follows the last line end
    for line in lines:
        parts = line.split()
        try:
            step = int(parts[2]) if len(parts) > 2 else 0
            reading = (int(parts[0]), float(parts[1]), step)
        except (ValueError, IndexError):
            damaged += bool(parts)
            continue
        if max(abs(step), abs(reading[0])) > FURTHEST:
            damaged += 1
        else:
            found.append(reading)
    return found, damaged


def _of_database(path: Path) -> Iterator[Run]:
    with opened(path) as connection:
        check_tables(connection, path, TABLES)
        (count,) = connection.execute("SELECT count(*) FROM metrics").fetchone()
        if count > MOST_READINGS:
            raise UnreadableRunError(f"{path} holds {count:,} readings, more than are read")
        names = {
            run: f"{experiment}/{name or run}"
            for run, name, experiment in connection.execute(
                "SELECT r.run_uuid, r.name, e.name FROM runs r JOIN experiments e "
                "ON e.experiment_id = r.experiment_id WHERE r.lifecycle_stage != 'deleted'"
            )
        }
        metrics = connection.execute(
            "SELECT run_uuid, key, timestamp, value, step, is_nan FROM metrics "
            "ORDER BY run_uuid, key, timestamp, step"
        )
        for run, rows in groupby(metrics, key=lambda row: row[0]):
            if run in names:
                yield _run(names[run], _by_key(rows), _parameters(connection, run), "")


def _by_key(rows: Iterable[tuple[str, str, int, float, int, int]]) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for _, key, time, value, step, is_nan in rows:
        number = float("nan") if is_nan else float(value)
        if abs(number) >= INFINITE:
            number = float(np.copysign(np.inf, number))
        if max(abs(int(step)), abs(int(time))) > FURTHEST:
            raise ValueError(f"a step is {step}")
        found.setdefault(str(key), []).append((int(time), number, int(step)))
    return found


def _parameters(connection: sqlite3.Connection, run: str) -> dict[str, Scalar]:
    rows = connection.execute(
        "SELECT key, value FROM params WHERE run_uuid = ? ORDER BY key LIMIT ?",
        (run, MOST_SETTINGS),
    )
    return _recipe((str(key), str(value)) for key, value in rows)


def _recipe(parameters: Iterable[tuple[str, str]]) -> dict[str, Scalar]:
    """Parameters, which MLflow keeps as text, as the numbers and truths they were."""
    return flattened({key.replace("/", "."): _scalar(value) for key, value in parameters})


def _scalar(value: str) -> Scalar:
    """
    >>> [_scalar(v) for v in ("3", "1e-3", "True", "adam", "(1, 2)")]
    [3, 0.001, True, 'adam', '(1, 2)']
    """
    if value in ("True", "False"):
        return value == "True"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _meta(folder: Path) -> dict[str, str]:
    settings = yaml_settings(folder / META)
    return {k: str(v) for k, v in flattened(settings).items() if v != ""}


def _is_meta(file: Path) -> bool:
    start = head(file, 4_096)
    return b"experiment_id:" in start and b"lifecycle_stage:" in start


def _text(file: Path) -> str:
    return head(file, LONGEST_PARAMETER).decode("utf-8", "replace")


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [path / name for name in sorted(names) if not name.startswith(".")]


def _files(folder: Path) -> list[Path]:
    """The files at and below a directory in the order of their names, not endlessly many."""
    found: list[Path] = []
    for place, _, names in os.walk(folder):
        found += [file for name in names if (file := Path(place) / name).is_file()]
        if len(found) > MOST_SERIES:
            break
    return sorted(found)


mlflow_store = Source("mlflow-store", knows, read)
