"""unstuck-run: unstuck's own run directories, which can be read while they are written.

## What is read
`run.sqlite` in a directory made by `unstuck run` or `unstuck.watch`: series with wall times, facts
and the recipe. What a killed script had written is all there. Processes that train together write
one file each, `run.sqlite` and `rank-<k>/run.sqlite`; they are read as one run: the series of rank
0, those of rank k as `rank/<k>/...`, and how far their models lie apart.

## How it is recognised
A file `run.sqlite`, or a directory with one in it or in a folder `rank-<k>` of it. Its schema lives
here, with its reader; the watcher writes it.

## What is left out
Of ranks beyond the first 64, everything; of other ranks than 0, what is read by layer. A file with
views or triggers, one of a newer format, or one of more than 100,000 series is refused.

## References
- <https://www.sqlite.org/wal.html>
"""

import json
import math
import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np

from unstuck.reading.database import opened
from unstuck.reading.replicas import merged, trained_together
from unstuck.records import Run, Scalar, Series
from unstuck.source import Source, UnreadableRunError

FILE = "run.sqlite"
RANK_FOLDER = "rank-{}"
VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS reading (
  series INTEGER NOT NULL, step INTEGER NOT NULL, value REAL, wall REAL,
  PRIMARY KEY (series, step)
) WITHOUT ROWID;
"""  # a value of NULL is NaN: SQLite stores infinities but no NaN
MOST_SERIES = 100_000
MOST_READINGS = 50_000_000
MOST_RANKS = 64
LONGEST_TEXT = 100_000


def knows(path: Path) -> bool:
    """Whether `path` is a run directory of unstuck's, or the file in it."""
    return bool(_files(path))


def read(path: Path) -> list[Run]:
    """The run in a directory; UnreadableRunError says what is wrong with a damaged one.

    Processes that never joined a group trained each for itself: they are runs of their own.
    """
    files = _files(path)
    parts: dict[int, Run] = {}
    errors: dict[int, UnreadableRunError] = {}
    for rank, file in sorted(files.items())[:MOST_RANKS]:
        try:
            with opened(file) as connection:
                parts[rank] = _run(connection, file)
        except UnreadableRunError as error:
            errors[rank] = error
    if not parts:
        raise next(iter(errors.values()))
    unread = {f"rank/{rank}/unreadable": str(error)[:500] for rank, error in errors.items()}
    if len(files) == 1:
        return list(parts.values())
    if not trained_together(parts):
        return [replace(run, name=f"{run.name}/rank-{rank}") for rank, run in parts.items()]
    run = merged(parts)
    return [replace(run, facts={**run.facts, **unread})]


def _files(path: Path) -> dict[int, Path]:
    """The file of each rank that has one; of a file, only that one."""
    if not path.is_dir():
        return {0: path} if path.name == FILE and path.is_file() else {}
    found = {0: path / FILE} if (path / FILE).is_file() else {}
    try:
        folders = [p for p in path.glob(RANK_FOLDER.format("*")) if not p.is_symlink()]
    except OSError:
        return found
    for folder in folders:
        number = re.fullmatch(RANK_FOLDER.format(r"(\d{1,6})"), folder.name)
        if number and (folder / FILE).is_file():
            found.setdefault(int(number[1]), folder / FILE)
    return found


def _run(connection: sqlite3.Connection, file: Path) -> Run:
    kinds = dict(connection.execute("SELECT name, type FROM sqlite_master WHERE type != 'index'"))
    if not {"meta", "fact", "series", "reading"} <= kinds.keys():
        if not kinds:
            raise UnreadableRunError(f"{file} is empty: nothing was recorded into it")
        raise UnreadableRunError(f"{file} is no run of unstuck's")
    if set(kinds.values()) != {"table"}:
        raise UnreadableRunError(f"{file} holds views or triggers, which no run has; not read")
    meta = _scalars(connection, "meta", "key")
    version = meta.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise UnreadableRunError(
            f"{file} was written by a newer unstuck (format {version}, this one reads {VERSION}); "
            "upgrade with `pip install -U unstuck`"
        )
    recipe = {k.removeprefix("recipe/"): v for k, v in meta.items() if k.startswith("recipe/")}
    return Run(
        _series(connection, file),
        recipe,
        _scalars(connection, "fact", "name"),
        {},
        str(meta.get("name", file.parent.name)),
    )


def _scalars(connection: sqlite3.Connection, table: str, key: str) -> dict[str, Scalar]:
    rows = connection.execute(f"SELECT {key}, value FROM {table} LIMIT {MOST_SERIES}")
    found: dict[str, Scalar] = {}
    for name, text in rows:
        value = json.loads(str(text)[:LONGEST_TEXT])
        if isinstance(value, float | int | str | bool):
            found[str(name)] = value
    return found


def _series(connection: sqlite3.Connection, file: Path) -> dict[str, Series]:
    names = {i: str(n) for i, n in connection.execute("SELECT id, name FROM series")}
    count = connection.execute("SELECT count(*) FROM reading").fetchone()[0]
    if len(names) > MOST_SERIES or count > MOST_READINGS:
        raise UnreadableRunError(f"{file} holds {len(names)} series, {count} readings: too many")
    rows = np.fromiter(
        (
            (s, i, math.nan if v is None else v, math.nan if w is None else w)
            for s, i, v, w in connection.execute(
                "SELECT series, step, value, wall FROM reading ORDER BY series, step"
            )
        ),
        dtype=[("series", "i8"), ("step", "i8"), ("value", "f8"), ("wall", "f8")],
        count=count,
    )
    starts = np.flatnonzero(np.diff(rows["series"], prepend=-1))
    found = {}
    for block in np.split(rows, starts[1:]) if count else []:
        name = names.get(int(block["series"][0]))
        if name is not None:
            found[name] = Series(name, block["step"], block["value"], block["wall"])
    return found


unstuck_run = Source("unstuck-run", knows, read)
