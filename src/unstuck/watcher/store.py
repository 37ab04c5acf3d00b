"""Readings onto disk: one thread writes one SQLite file; what was committed survives kill -9."""

import contextlib
import json
import os
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from unstuck.records import Scalar
from unstuck.sources.unstuck_run import FILE, SCHEMA, VERSION

COMMIT_EVERY = 0.5  # seconds; what is younger may be lost on kill -9
MOST_WAITING = 20_000  # batches in memory; past that the oldest are given up, training goes on

Reading = tuple[str, int, float, float]  # name, step, value, wall time in seconds
Batch = Callable[[], list[Reading]]  # run in the writer's thread: it may wait for a device


class Store:
    """A run directory being written. Nothing here ever raises into the training loop."""

    def __init__(self, directory: Path, *, name: str, recipe: Mapping[str, Scalar]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / FILE).exists():
            raise FileExistsError(f"{directory} already holds a run; give another directory")
        self.path = directory
        self._waiting: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._ids: dict[str, int] = {}
        self._process = os.getpid()
        self._failed = False
        self._complained = False
        self._connection = sqlite3.connect(
            directory / FILE, check_same_thread=False, isolation_level=None
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA)
        meta: dict[str, Scalar] = {"version": VERSION, "name": name, "started": time.time()}
        meta |= {f"recipe/{key}": value for key, value in recipe.items()}
        self._connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(key, json.dumps(value)) for key, value in meta.items()],
        )
        self._thread = threading.Thread(target=self._write, name="unstuck-store", daemon=True)
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Hand over readings that are computed (and waited for) in the writer's thread."""
        if self._failed:
            return
        if self._waiting.qsize() > MOST_WAITING:
            with contextlib.suppress(queue.Empty):
                self._waiting.get_nowait()
        self._waiting.put(batch)

    def note(self, facts: Mapping[str, Scalar]) -> None:
        """Keep what is known once; a later value of the same name replaces the earlier."""
        rows = [(name, json.dumps(value)) for name, value in facts.items()]

        def write() -> list[Reading]:
            self._connection.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", rows)
            return []

        self.put(write)

    def close(self) -> None:
        """Write what is waiting and close the file; in a forked child, do nothing."""
        if os.getpid() != self._process or not self._thread.is_alive():
            return
        self._waiting.put(None)
        self._thread.join(timeout=60)

    def _write(self) -> None:
        try:
            going = True
            while going:
                going = self._commit_once()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()
        except sqlite3.Error as error:
            self._failed = True
            print(
                f"unstuck: cannot write {self.path / FILE} ({error}); training goes on unrecorded",
                file=sys.stderr,
            )

    def _commit_once(self) -> bool:
        """Write batches for COMMIT_EVERY seconds, then commit; False when asked to close."""
        batch = self._waiting.get()
        self._connection.execute("BEGIN")
        until = time.monotonic() + COMMIT_EVERY
        going = True
        while True:
            if batch is None:
                going = False
                break
            self._insert(self._computed(batch))
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                batch = self._waiting.get(timeout=left)
            except queue.Empty:
                break
        self._connection.execute("COMMIT")
        return going

    def _computed(self, batch: Batch) -> list[Reading]:
        try:
            return batch()
        except (RuntimeError, ValueError, TypeError) as error:  # a tensor that cannot be read
            if not self._complained:
                self._complained = True
                print(f"unstuck: a reading was given up ({error})", file=sys.stderr)
            return []

    def _insert(self, readings: list[Reading]) -> None:
        rows = [(self._id(name), step, value, wall) for name, step, value, wall in readings]
        self._connection.executemany("INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?)", rows)

    def _id(self, name: str) -> int:
        if name not in self._ids:
            self._ids[name] = len(self._ids) + 1
            self._connection.execute(
                "INSERT OR IGNORE INTO series VALUES (?, ?)", (self._ids[name], name)
            )
        return self._ids[name]
