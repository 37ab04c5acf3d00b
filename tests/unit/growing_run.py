"""A run directory that a test writes step by step, as the watcher does, without a training."""

import json
import math
import sqlite3
import time
from pathlib import Path

from unstuck.sources.unstuck_run import FILE, SCHEMA, VERSION

LAYERS = ("first", "second", "third")


class GrowingRun:
    """Call `grow` and `close`; what is written can be read at once."""

    def __init__(self, directory: Path, name: str = "", **recipe: float) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory
        self.step = 0
        self._ids: dict[str, int] = {}
        self._file = sqlite3.connect(directory / FILE, check_same_thread=False)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.executescript(SCHEMA)
        meta = {"version": VERSION, "name": name or directory.name}
        meta |= {f"recipe/{key}": value for key, value in recipe.items()}
        self._write("meta", {key: json.dumps(value) for key, value in meta.items()})

    def grow(self, steps: int, **levels: float) -> None:
        """So many steps more of a loss, its two terms, a rate and three layers.

        `levels` adds a series of that height each, `__` in its name standing for `/`.
        """
        for _ in range(steps):
            t, self.step = self.step, self.step + 1
            share = 0.3 + 0.2 * math.cos(t / 9)
            readings = {"loss/loss": 0.3 + 2 * math.exp(-t / 30) + 0.01 * (t % 3), "lr/adam": 1e-3}
            readings |= {"share/loss/l1": share, "share/loss/adversarial": 1 - share}
            for depth, layer in enumerate(LAYERS):
                readings[f"grad_norm/adam/net.{layer}"] = 10.0 ** -(3 - depth)
                readings[f"activation/net.{layer}/std"] = 1.0 + depth
            readings |= {name.replace("__", "/"): level for name, level in levels.items()}
            for name, value in readings.items():
                self.read(name, t, value)
        self._file.commit()

    def read(self, name: str, step: int, value: float) -> None:
        if name not in self._ids:
            self._ids[name] = len(self._ids) + 1
            self._file.execute("INSERT INTO series VALUES (?, ?)", (self._ids[name], name))
        row = (self._ids[name], step, None if math.isnan(value) else value, time.time())
        self._file.execute("INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?)", row)

    def note(self, **facts: object) -> None:
        self._write("fact", {k.replace("__", "/"): json.dumps(v) for k, v in facts.items()})

    def close(self) -> None:
        self._file.commit()
        self._file.close()

    def _write(self, table: str, rows: dict[str, str]) -> None:
        self._file.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows.items())
        self._file.commit()
