"""keras-history: the history of a Keras training saved as JSON: an object of lists.

## What is read

`json.dump(model.fit(...).history, file)`: under each name the list of its values, one an epoch;
lists may differ in length. A list named `epoch` numbers the epochs, else they count from 0. What
`pandas.DataFrame(history).to_json()` writes (objects of `"0": value, "1": value`) is read alike. A
step is an epoch. (`CSVLogger` writes tables: csv-table.)

## How it is recognised

A JSON object of lists of numbers, at least one of which is named as a loss or a metric is.

## What is left out

Lists of anything but numbers, and single values.

## References

- <https://keras.io/api/models/model_training_apis/>
"""

import re
from pathlib import Path

import numpy as np

from unstuck import naming
from unstuck.reading.bounds import head
from unstuck.reading.columns import Column, tabled
from unstuck.reading.objects import parsed_file
from unstuck.reading.tables import is_log
from unstuck.reading.text import decoded, is_text
from unstuck.records import Run
from unstuck.source import Source, UnreadableRunError

MOST = 100_000_000  # bytes
_START = re.compile(
    r'\s*\{\s*"[^"]{1,200}"\s*:\s*(?:\[\s*"?[-+\d.NI]|\{\s*"0"\s*:)', re.DOTALL
)  # {"loss": [2.3,   or   {"loss": {"0": 2.3,
_NAME = re.compile(r'"([^"]{1,200})"\s*:\s*[\[{]')


def knows(path: Path) -> bool:
    """Whether a file is a JSON object of lists of numbers, as a history is."""
    start = head(path)
    if not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or not is_text(start):
        return False
    text = decoded(start)
    if not _START.match(text) or not is_log(_NAME.findall(text)):
        return False
    try:
        return bool(_columns(path))
    except UnreadableRunError:
        return len(start) < path.stat().st_size  # damaged beyond what was looked at


def read(path: Path) -> list[Run]:
    """The run in a history; UnreadableRunError where it is damaged or none."""
    columns = _columns(path)
    if not columns:
        raise UnreadableRunError(f"{path} holds no lists of numbers as a history of Keras does")
    if not any(naming.is_epoch(name) for name in columns):
        longest = max(column.value.size for column in columns.values())
        epochs = np.arange(longest, dtype=np.float64)
        columns["epoch"] = Column(epochs, np.ones(longest, dtype=np.bool_))
    return [tabled(path.stem, columns, "keras-history")]


def _columns(path: Path) -> dict[str, Column]:
    """The lists of numbers in a file, all of the length of the longest."""
    value = parsed_file(path, MOST)
    if not isinstance(value, dict):
        return {}
    found = {}
    for name, values in value.items():
        if isinstance(values, dict) and all(key.isdigit() for key in values):
            values = list(values.values())
        if isinstance(values, list) and values and not isinstance(values[0], list | dict):
            found[name] = Column.of(["" if isinstance(v, list | dict) else v for v in values])
    found = {n: c for n, c in found.items() if c.present.any()}
    longest = max((c.value.size for c in found.values()), default=0)
    return {n: _padded(c, longest) for n, c in found.items()}


def _padded(column: Column, length: int) -> Column:
    missing = (0, length - column.value.size)
    return Column(
        np.pad(column.value, missing, constant_values=np.nan), np.pad(column.present, missing)
    )


keras_history = Source("keras-history", knows, read)
