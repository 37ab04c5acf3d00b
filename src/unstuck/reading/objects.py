"""JSON of a log: read within bounds, its objects made flat.

>>> flat({"step": 1, "train": {"loss": 0.5, "norms": [1, 2]}, "lr": [0.1], "note": None})
{'step': 1, 'train/loss': 0.5, 'lr': 0.1, 'note': None}
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from unstuck.reading.bounds import content
from unstuck.reading.tables import MOST_COLUMNS, Table, table_of
from unstuck.reading.text import decoded
from unstuck.source import UnreadableRunError

DEEPEST = 6  # objects within one another
MOST = 500_000_000  # bytes of one file


def parsed(text: str) -> object:
    """What JSON text holds; None where it is damaged."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def parsed_file(path: Path, most: int = MOST) -> object:
    """What a JSON file holds; UnreadableRunError where it is damaged."""
    value = parsed(decoded(content(path, most)))
    if value is None:
        raise UnreadableRunError(f"{path} is damaged: no JSON that can be read")
    return value


def flat(value: Mapping[str, object]) -> dict[str, object]:
    """An object whose names are paths (`train/loss`); lists of several values are left out."""
    found: dict[str, object] = {}
    _gather(value, "", DEEPEST, found)
    return found


def _gather(value: Mapping[str, object], above: str, depth: int, found: dict[str, object]) -> None:
    for key, inner in value.items():
        if isinstance(inner, list) and len(inner) == 1:
            inner = inner[0]
        if isinstance(inner, dict):
            if depth:
                _gather(inner, f"{above}{key}/", depth - 1, found)
        elif not isinstance(inner, list) and len(found) < MOST_COLUMNS:
            found[f"{above}{key}"] = inner


def table_of_objects(rows: Iterable[Mapping[str, object]]) -> Table:
    """A table with one row for each flat object."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(names) > MOST_COLUMNS:
        raise UnreadableRunError(f"objects with {len(names):,} names: more than are read")
    return table_of(names, ([row.get(name, "") for name in names] for row in rows))
