"""The file of a run as the writer's thread sees it: readings go in, too many are thinned.

Statements are few and large: Python's lock changes hands around each, and training waits for it.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unstuck.records import Scalar
from unstuck.sources.unstuck_run import SCHEMA
from unstuck.watcher.thinning import kept

MOST_READINGS = 20_000  # of one series
MOST_OF_ALL = 2_000_000  # of all series together: then each may keep less
FEWEST = 256  # that a series may keep, however many others there are
MOST_SERIES = 20_000  # names; readings under further ones are given up
CHUNK = 200  # rows of one statement
PATIENCE = 0.5  # seconds a statement waits for somebody else's lock

Reading = tuple[str, int, float, float]  # name, step, value, wall time in seconds


class Table:
    """An open run file. `write` is all or nothing; `thin` keeps the file bounded."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._connection = _opened(file)
        self._identity = _identity(file)
        self._ids: dict[str, int] = {}
        self._counts: dict[int, int] = {}

    def taken_away(self) -> bool:
        """Whether the file is no longer the one at its path."""
        return _identity(self.file) != self._identity

    def write(self, readings: Sequence[Reading], facts: Mapping[str, str]) -> None:
        """Commit readings and facts (as JSON); sqlite3.Error leaves the file as it was."""
        new: dict[str, int] = {}
        rows = [
            (key, step, value, wall)
            for name, step, value, wall in readings
            if (key := self._id(name, new)) is not None
        ]
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._insert("series", [(key, name) for name, key in new.items()])
            self._insert("fact", list(facts.items()))
            self._insert("reading", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._ids |= new
        for key, *_ in rows:
            self._counts[key] = self._counts.get(key, 0) + 1

    def thin(self) -> None:
        """Halve every series that has grown past its bound."""
        most = max(FEWEST, min(MOST_READINGS, MOST_OF_ALL // max(1, len(self._counts))))
        for key, count in self._counts.items():
            if count > most:
                self._thin(key, most // 2)

    def close(self) -> None:
        self._connection.close()

    def _id(self, name: str, new: dict[str, int]) -> int | None:
        key = self._ids.get(name) or new.get(name)
        if key is None and len(self._ids) + len(new) < MOST_SERIES:
            key = new[name] = len(self._ids) + len(new) + 1
        return key

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        for chunk in _chunks(rows):
            row = f"({', '.join('?' * len(chunk[0]))})"
            self._connection.execute(
                f"INSERT OR REPLACE INTO {table} VALUES {', '.join([row] * len(chunk))}",
                [value for values in chunk for value in values],
            )

    def _thin(self, key: int, most: int) -> None:
        steps, values = self._connection.execute(
            "SELECT group_concat(step), group_concat(coalesce(value, 'nan')) FROM "
            "(SELECT step, value FROM reading WHERE series = ? ORDER BY step)",
            (key,),
        ).fetchone()
        step = np.array(steps.split(","), dtype=np.int64)
        keep = kept(step, np.array(values.split(","), dtype=np.float64), most)
        gone = [(s,) for s in step[~keep].tolist()]
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for chunk in _chunks(gone):
                marks = ", ".join("?" * len(chunk))
                self._connection.execute(
                    f"DELETE FROM reading WHERE series = ? AND step IN ({marks})",
                    [key, *(s for (s,) in chunk)],
                )
        finally:
            self._connection.execute("COMMIT")
        self._counts[key] = int(np.count_nonzero(keep))


def make(file: Path, meta: Mapping[str, Scalar]) -> None:
    """Make the file of a new run, with what is known of it at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = _opened(file)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)
        connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(key, json.dumps(value)) for key, value in meta.items()],
        )
    finally:
        connection.close()


def _opened(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _chunks(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
