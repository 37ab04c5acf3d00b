"""Readings onto disk: one thread writes one SQLite file; what was committed survives kill -9.

A full disk, a lock held by others, a directory taken away: training goes on, one line says so, and
what can still be kept is kept. Nothing here raises into the training loop.
"""

import contextlib
import json
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from unstuck.records import Scalar
from unstuck.sources.unstuck_run import FILE, VERSION
from unstuck.watcher import process
from unstuck.watcher.table import Reading as Reading
from unstuck.watcher.table import Table, make

LOOK_EVERY = 0.1  # seconds between looks at what was left: to be woken costs the training more
COMMIT_EVERY = 0.5  # seconds; what is younger may be lost on kill -9
MOST_WAITING = 20_000  # batches in memory; past that the oldest are given up, training goes on
MOST_HELD = 200_000  # readings in memory while the file cannot be written; then the oldest go
SLOWEST_RETRY = 30.0  # seconds between attempts on a file that cannot be written
LAST_WORDS = 30.0  # seconds that close() waits for the writer

Batch = Callable[[], list[Reading]]  # run in the writer's thread: it may wait for a device
Facts = dict[str, str]


class Store:
    """A run directory being written. FileExistsError where it holds a run already."""

    def __init__(self, directory: Path, *, name: str, recipe: Mapping[str, Scalar]) -> None:
        if (directory / FILE).exists():
            raise FileExistsError(f"{directory} already holds a run; give another directory")
        self.path = directory
        self.recording = True  # turns False when the file is given up for good
        self.seconds = 0.0  # of processor time that the writer's thread has used
        self._waiting: deque[Batch | Facts] = deque()
        self._closing = threading.Event()
        self._readings: deque[Reading] = deque(maxlen=MOST_HELD)
        self._facts: Facts = {}
        self._process = process.number()
        self._complained = False
        self._thread = threading.Thread(target=self._write, name="unstuck-store", daemon=True)
        meta: dict[str, Scalar] = {"version": VERSION, "name": name, "started": time.time()}
        try:
            make(directory / FILE, meta | {f"recipe/{key}": v for key, v in recipe.items()})
            self._thread.start()
        except (OSError, RuntimeError, sqlite3.Error) as error:
            self._give_up(f"cannot record into {directory} ({error})")

    def put(self, batch: Batch) -> None:
        """Hand over readings that are computed (and waited for) in the writer's thread."""
        self._hand_over(batch)

    def note(self, facts: Mapping[str, Scalar]) -> None:
        """Keep what is known once; a later value of the same name replaces the earlier."""
        self._hand_over({name: json.dumps(value) for name, value in facts.items()})

    def complain(self, text: str) -> None:
        """Say one line to the user; the first such line only."""
        if not self._complained:
            self._complained = True
            with contextlib.suppress(Exception):  # stderr may be closed, or on the full disk
                print(f"unstuck: {text}; training goes on", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Write what is waiting and close the file; in a forked child, do nothing."""
        if process.number() == self._process and self._thread.is_alive():
            self._closing.set()
            self._thread.join(timeout=LAST_WORDS)

    def _hand_over(self, item: Batch | Facts) -> None:
        if not self.recording or process.number() != self._process:
            return
        if len(self._waiting) > MOST_WAITING:
            with contextlib.suppress(IndexError):
                self._waiting.popleft()
        self._waiting.append(item)

    def _give_up(self, why: str) -> None:
        self.recording = False
        self.complain(f"{why}, nothing more is recorded")

    def _write(self) -> None:
        """The writer's thread. The file is open in here alone: a forked child cannot close it."""
        try:
            table = Table(self.path / FILE)
            going, retry, pause = True, 0.0, COMMIT_EVERY
            while going and self.recording:
                going = self._gather()
                if time.monotonic() < retry and going:
                    continue
                written = self._commit(table)
                pause = COMMIT_EVERY if written else min(2 * pause, SLOWEST_RETRY)
                retry = 0.0 if written else time.monotonic() + pause
            table.close()
        except Exception as error:  # whatever it is, it must not end in a trace on the terminal
            self._give_up(f"cannot write {self.path / FILE} ({type(error).__name__}: {error})")

    def _gather(self) -> bool:
        """Hold what comes in for COMMIT_EVERY seconds; False when asked to close."""
        until = time.monotonic() + COMMIT_EVERY
        while True:
            closing = self._closing.wait(LOOK_EVERY)
            with contextlib.suppress(IndexError):
                while time.monotonic() <= until:
                    self._hold(self._waiting.popleft())
            self.seconds = time.thread_time()
            if closing and not self._waiting:
                return False
            if time.monotonic() > until:
                if self._waiting or self._readings or self._facts:
                    return True
                until = time.monotonic() + COMMIT_EVERY

    def _hold(self, item: Batch | Facts) -> None:
        if isinstance(item, dict):
            self._facts |= item
        else:
            self._readings.extend(self._computed(item))

    def _commit(self, table: Table) -> bool:
        """Write what is held, or go on holding it; True where it was written."""
        if table.taken_away():
            self._give_up(f"{table.file} was taken away")
            return False
        try:
            table.write(list(self._readings), self._facts)
            self._readings.clear()
            self._facts = {}
            table.thin()
        except sqlite3.OperationalError as error:  # full, locked, read-only by now
            self.complain(f"cannot write {table.file} for now ({error}), it is tried again")
            return False
        return True

    def _computed(self, batch: Batch) -> list[Reading]:
        try:
            return batch()
        except Exception as error:  # a tensor that cannot be read, a device without memory
            self.complain(f"a reading was given up ({type(error).__name__}: {error})")
            return []
