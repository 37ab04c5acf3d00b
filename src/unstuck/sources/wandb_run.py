"""wandb-run: run directories of Weights & Biases (`run-*.wandb`), offline and synced.

## What is read

The history in `run-<id>.wandb`: every number logged with `run.log`, nested names joined by `.`,
with `_step` and the time of day. Where every row has a step that the script logged itself
(`trainer/global_step`, `global_step`, ...), that counts instead: `_step` counts calls of `log`.
The configuration becomes the recipe; what the file does not tell of it comes from
`files/config.yaml`. The run's name is its display name.

The sum (CRC32) of each piece is checked. Where one is wrong, reading goes on at the next block of
32 KiB. A last record that is cut off is left out, as in a run that was killed or still writes.
What was left out stands in `source/remark`.

## How it is recognised

A file by its first seven bytes (`:W&B`, `E1 BE`, version 0); a directory by such a file directly in
it. A directory with `files/wandb-summary.json` alone is recognised too, to say that the last values
are all that lies there.

## What is left out

System statistics, console output, media, histograms, tables, text, the summary, and the definition
of metrics. Runs on the server: download their history as CSV or Parquet, which are read as tables.

## References

- offline runs: https://docs.wandb.ai/models/support/run_wandb_offline
- the records: https://github.com/wandb/wandb/blob/main/wandb/proto/wandb_internal.proto
- the log format: https://github.com/google/leveldb/blob/main/doc/log_format.md
"""

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unstuck import naming
from unstuck.reading.assemble import FURTHEST, Readings, assembled
from unstuck.reading.block_log import Damage, records
from unstuck.reading.bounds import MOST_READINGS, MOST_SERIES, head, short_name
from unstuck.reading.columns import number_of
from unstuck.reading.protobuf import BYTES, VARINT, WireError, fields, text, varint
from unstuck.reading.recipes import flattened, yaml_settings
from unstuck.records import Floats, Run, Scalar
from unstuck.source import Source, UnreadableRunError

MAGIC = b":W&B\xe1\xbe\x00"
LONGEST_VALUE = 10_000  # characters of a value: numbers and small nested ones
LONGEST_NUMBER = 40
DEEPEST = 6
_HISTORY, _CONFIG, _RUN = 2, 5, 17  # kinds of records
_RUN_ID, _CONFIG_OF_RUN, _DISPLAY_NAME = 1, 4, 8  # fields of a run
_KEY, _NESTED_KEY, _VALUE = 1, 2, 16  # fields of an item of a history or a configuration
_QUOTED = {'"NaN"', '"Infinity"', '"-Infinity"'}
STEP, TIME = "_step", "_timestamp"
_OWN = ("_step", "_timestamp", "_runtime", "_wandb")  # what W&B adds to every row


@dataclass(slots=True)
class Log:
    """What one `.wandb` file holds: of each name the rows it was logged in and what was logged."""

    rows: dict[str, "array[int]"] = field(default_factory=dict)
    values: dict[str, "array[float]"] = field(default_factory=dict)
    config: dict[str, object] = field(default_factory=dict)
    name: str = ""
    count: int = 0
    readings: int = 0

    def add(self, record: bytes) -> None:
        """Note what a record says; WireError where it is none."""
        for number, wire, start, stop in fields(record):
            if wire != BYTES:
                continue
            if number == _HISTORY:
                self._add_row(record, start, stop)
                self.count += 1
            elif number == _CONFIG:
                self._add_settings(record, start, stop)
            elif number == _RUN:
                self._add_run(record, start, stop)

    def _add_row(self, record: bytes, start: int, stop: int) -> None:
        for number, wire, first, last in fields(record, start, stop):
            if (number, wire) == (1, BYTES):
                name, value = _item(record, first, last)
                for inner, number_ in _numbers(".".join(name), value):
                    self._add_number(inner, number_)
            elif (number, wire) == (2, BYTES):  # the step, in case no item has it
                for n, w, a, b in fields(record, first, last):
                    if (n, w) == (1, VARINT):
                        self._add_number(STEP, float(varint(record, a, b)[0]))

    def _add_number(self, name: str, value: float) -> None:
        self.readings += 1
        if name not in self.rows:
            self.rows[name], self.values[name] = array("q"), array("d")
            if len(self.rows) > MOST_SERIES:
                raise UnreadableRunError(f"the run has more than {MOST_SERIES:,} series; not read")
        if self.readings > MOST_READINGS:
            raise UnreadableRunError(f"the run has more than {MOST_READINGS:,} readings; not read")
        self.rows[name].append(self.count)
        self.values[name].append(value)

    def _add_settings(self, record: bytes, start: int, stop: int) -> None:
        for number, wire, first, last in fields(record, start, stop):
            if wire != BYTES or number not in (1, 2):
                continue
            name, value = _item(record, first, last)
            if number == 2:
                self.config.pop(".".join(name), None)
            elif name and name[0] != "_wandb" and len(value) <= LONGEST_VALUE:
                self.config[".".join(name)] = _parsed(value)

    def _add_run(self, record: bytes, start: int, stop: int) -> None:
        for number, wire, first, last in fields(record, start, stop):
            if wire != BYTES:
                continue
            if number == _CONFIG_OF_RUN:
                self._add_settings(record, first, last)
            elif number == _DISPLAY_NAME or (number == _RUN_ID and not self.name):
                self.name = text(record, first, last) or self.name


def knows(path: Path) -> bool:
    """Whether a path is a `.wandb` file or the directory of a run of W&B's."""
    if not path.is_dir():
        return head(path, len(MAGIC)) == MAGIC
    return bool(_files(path)) or _summary(path).is_file()


def read(path: Path) -> list[Run]:
    """The runs in a directory, mostly one; or the run in a file."""
    files = _files(path) if path.is_dir() else [path]
    if not files:
        raise UnreadableRunError(
            f"{path} holds only a run's last values (files/wandb-summary.json); its history is in "
            "the run-*.wandb beside it or on the server: download it as CSV"
        )
    return [_run(file) for file in files]


def _run(file: Path) -> Run:
    if head(file, len(MAGIC)) != MAGIC:
        raise UnreadableRunError(f"{file} is no log of Weights & Biases")
    log, damage = Log(), Damage()
    for record in records(file, len(MAGIC), damage):
        try:
            log.add(record)
        except WireError:
            damage.places += 1
    series = _series(log)
    remark = damage.remark()
    if not series:
        raise UnreadableRunError(
            f"{file} holds no number that was logged{f' ({remark})' if remark else ''}"
        )
    facts: dict[str, Scalar] = {"source/remark": remark} if remark else {}
    recipe = _config_beside(file) | flattened(log.config)
    name = short_name(log.name) or file.stem
    return assembled(name, series, "wandb-run", recipe=recipe, facts=facts)


def _series(log: Log) -> dict[str, Readings]:
    """The readings of every name, numbered by the best step there is."""
    names = sorted(log.rows.keys() - _OWN)
    steps = [name for name in names if naming.is_step(name)]
    others = [name for name in names if name not in steps]
    by = next((name for name in steps if _numbers_all(log, name, others)), "")
    step, wall = _by_row(log, by or STEP), _by_row(log, TIME)
    found = {}
    for name in names:
        row, value = np.array(log.rows[name]), np.array(log.values[name])
        kept = np.abs(step[row]) <= FURTHEST
        if name != by and kept.any():
            row = row[kept]
            time = wall[row] if TIME in log.rows else None
            found[name] = Readings(step[row].astype(np.int64), value[kept], time)
    return found


def _numbers_all(log: Log, name: str, others: list[str]) -> bool:
    """Whether a step that was logged is a whole number in every row with another reading."""
    value = np.array(log.values[name])
    whole = bool(np.all((value >= 0) & (value == np.floor(value))))
    return whole and all(np.isin(log.rows[other], log.rows[name]).all() for other in others)


def _by_row(log: Log, name: str) -> Floats:
    """What was logged under a name as one number a row; NaN where a row has none."""
    found: Floats = np.full(log.count + 1, np.nan)
    if name in log.rows:
        found[np.array(log.rows[name])] = np.array(log.values[name])
    return found


def _item(record: bytes, start: int, stop: int) -> tuple[list[str], str]:
    """The name of an item, of several parts where it is nested, and its value as JSON."""
    name: list[str] = []
    value = ""
    for number, wire, first, last in fields(record, start, stop):
        if wire != BYTES:
            continue
        if number == _VALUE:
            value = text(record, first, last) if last - first <= LONGEST_VALUE else ""
        elif number in (_KEY, _NESTED_KEY):
            name.append(text(record, first, last))
    return name, value


def _numbers(name: str, value: str, depth: int = DEEPEST) -> Iterator[tuple[str, float]]:
    """The number logged under a name, or each number of a nested value of older writers."""
    if len(value) <= LONGEST_NUMBER and not value.startswith(("{", "[")):
        number = number_of(value.strip('"') if value in _QUOTED else value)
        if number is not None:
            yield name, number
        return
    nested = _parsed(value) if value.startswith("{") else None
    if isinstance(nested, dict) and "_type" not in nested and depth:
        for key, inner in nested.items():
            if isinstance(inner, int | float | dict):
                yield from _numbers(f"{name}.{key}", json.dumps(inner), depth - 1)


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _config_beside(file: Path) -> dict[str, Scalar]:
    """`files/config.yaml`: of each setting a mapping with its value."""
    settings = yaml_settings(file.parent / "files" / "config.yaml")
    if not isinstance(settings, dict):
        return {}
    values = {
        key: it["value"]
        for key, it in settings.items()
        if key != "_wandb" and isinstance(it, dict) and "value" in it
    }
    return flattened(values)


def _files(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.glob("*.wandb"))
    except OSError:
        return []
    return [file for file in found if head(file, len(MAGIC)) == MAGIC]


def _summary(folder: Path) -> Path:
    return folder / "files" / "wandb-summary.json"


wandb_run = Source("wandb-run", knows, read)
