"""Readings onto disk: one thread writes one SQLite file; what was committed survives kill -9.

A disk that is full, a lock held by others, a directory taken away: training goes on, one line says
so, and what can still be kept is kept. Nothing here ever raises into the training loop.
"""

import contextlib
import json
import os
import queue
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from unstuck.records import Scalar
from unstuck.sources.unstuck_run import FILE, SCHEMA, VERSION
from unstuck.watcher import table

COMMIT_EVERY = 0.5  # seconds; what is younger may be lost on kill -9
MOST_WAITING = 20_000  # batches in memory; past that the oldest are given up, training goes on
MOST_HELD = 200_000  # readings in memory while the file cannot be written; then the oldest go
PATIENCE = 0.5  # seconds a commit waits for somebody else's lock
SLOWEST_RETRY = 30.0  # seconds between attempts on a file that cannot be written
LAST_WORDS = 30.0  # seconds that close() waits for the writer

Reading = table.Reading
Batch = Callable[[], list[Reading]]  # run in the writer's thread: it may wait for a device
Facts = list[tuple[str, str]]


class Store:
    """A run directory being written."""

    def __init__(self, directory: Path, *, name: str, recipe: Mapping[str, Scalar]) -> None:
        if (directory / FILE).exists():
            raise FileExistsError(f"{directory} already holds a run; give another directory")
        self.path = directory
        self.recording = True  # turns False when the file is given up for good
        self._waiting: queue.SimpleQueue[Batch | Facts | None] = queue.SimpleQueue()
        self._process = os.getpid()
        self._complained = False
        self._closing = threading.Event()
        meta: dict[str, Scalar] = {"version": VERSION, "name": name, "started": time.time()}
        meta |= {f"recipe/{key}": value for key, value in recipe.items()}
        try:
            directory.mkdir(parents=True, exist_ok=True)
            _make(directory / FILE, meta)
        except (OSError, sqlite3.Error) as error:
            self._give_up(f"cannot record into {directory} ({error})")
        self._thread = threading.Thread(target=self._write, name="unstuck-store", daemon=True)
        if self.recording:
            self._thread.start()

    def put(self, batch: Batch) -> None:
        """Hand over readings that are computed (and waited for) in the writer's thread."""
        self._hand_over(batch)

    def note(self, facts: Mapping[str, Scalar]) -> None:
        """Keep what is known once; a later value of the same name replaces the earlier."""
        self._hand_over([(name, json.dumps(value)) for name, value in facts.items()])

    def complain(self, text: str) -> None:
        """Say one line to the user, the first time only."""
        if not self._complained:
            self._complained = True
            with contextlib.suppress(Exception):  # stderr may be closed, or full
                print(f"unstuck: {text}; training goes on", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Write what is waiting and close the file; in a forked child, do nothing."""
        if os.getpid() == self._process and self._thread.is_alive():
            self._closing.set()
            self._waiting.put(None)
            self._thread.join(timeout=LAST_WORDS)

    def _hand_over(self, item: Batch | Facts) -> None:
        if not self.recording or os.getpid() != self._process:
            return
        if self._waiting.qsize() > MOST_WAITING:
            with contextlib.suppress(queue.Empty):
                self._waiting.get_nowait()
        self._waiting.put(item)

    def _give_up(self, why: str) -> None:
        self.recording = False
        self.complain(f"{why}: nothing more is recorded")

    def _write(self) -> None:
        """The writer's thread. The connection is its own: a forked child never closes it."""
        try:
            connection = _opened(self.path / FILE)
            rows = table.Table(connection, self.path / FILE)
            held = _Held()
            going = True
            while going and self.recording:
                going = self._gather(held)
                self._commit(rows, held)
            with contextlib.suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
        except Exception as error:  # whatever it is, it must not end in a trace on the terminal
            self._give_up(f"cannot write {self.path / FILE} ({type(error).__name__}: {error})")

    def _gather(self, held: "_Held") -> bool:
        """Wait for something, then gather for COMMIT_EVERY seconds; False when asked to close."""
        item = self._waiting.get()
        until = time.monotonic() + COMMIT_EVERY
        while item is not None:
            if isinstance(item, list):
                held.facts.update(item)
            else:
                held.readings.extend(self._computed(item))
            left = until - time.monotonic()
            try:
                item = self._waiting.get(timeout=max(0.0, left)) if left > 0 else None
            except queue.Empty:
                return True
            if item is None and left <= 0:
                return True
        return False

    def _commit(self, rows: table.Table, held: "_Held") -> None:
        """Write what is held; where that fails, hold it and try again, ever more patiently."""
        while True:
            if rows.gone():
                return self._give_up(f"{rows.file} was taken away")
            try:
                rows.write(held.readings, held.facts)
            except sqlite3.Error as error:
                self.complain(f"cannot write {rows.file} for now ({error})")
            else:
                return held.clear()
            if self._closing.is_set() or held.patience is None:
                return None
            if held.more_patient(self._closing):
                return None

    def _computed(self, batch: Batch) -> list[Reading]:
        try:
            return batch()
        except Exception as error:  # a tensor that cannot be read, a device that has no memory
            self.complain(f"a reading was given up ({type(error).__name__}: {error})")
            return []
