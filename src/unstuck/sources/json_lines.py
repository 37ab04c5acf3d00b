"""json-lines: one JSON object a line for each time of logging, or a JSON list of such objects.

## What is read

Every number in the objects; names of nested objects are joined (`{"train": {"loss": 1}}` gives
`train/loss`), numbers in quotes are numbers too, a list of one number is that number. Objects are
numbered by `step`, `iteration`, `epoch` and their like, as rows of a table are. An entry that names
runs or seeds makes several runs. Written by Detectron2 (`metrics.json`), exports of a Weights &
Biases history, and many loops by hand.

## How it is recognised

At least two lines that are objects, or a list of at least two, which count steps or epochs beside
other numbers; or which hold a loss, a metric or a learning rate and no words.

## What is left out

Words, lists of several values, `null`, lines that are no object, a last line that was cut off (the
run says how many).

## References

- <https://jsonlines.org>
- RFC 8259, The JavaScript Object Notation (JSON) Data Interchange Format
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from unstuck import naming
from unstuck.reading.bounds import content, opening
from unstuck.reading.columns import number_of
from unstuck.reading.objects import MOST, flat, parsed, table_of_objects
from unstuck.reading.tables import is_log, runs_in
from unstuck.reading.text import decoded, is_text, plain
from unstuck.records import Run
from unstuck.source import Source, UnreadableRunError

SOURCE = "json-lines"
FEWEST = 2  # objects
LOOKED_AT = 50  # objects that tell whether a file is a log


def knows(path: Path) -> bool:
    """Whether a file holds objects that a training could have written."""
    start = opening(path)
    if not is_text(start):
        return False
    text = decoded(start).lstrip()
    if text.startswith("[") and text[1:40].lstrip().startswith("{"):
        return _is_log(_first_of_list(text))
    if not text.startswith("{"):
        return False
    return _is_log(_objects(plain(text).split("\n")[: LOOKED_AT + 1])[0])


def read(path: Path) -> list[Run]:
    """The runs in a file of objects; UnreadableRunError where it has none."""
    text = decoded(content(path, MOST))
    if text.lstrip().startswith("["):
        objects, damaged = _list(text)
    else:
        objects, damaged = _objects(plain(text).split("\n"))
    if len(objects) < FEWEST:
        raise UnreadableRunError(f"{path} holds fewer than {FEWEST} JSON objects, one a line")
    remark = f"lines left out that are no JSON objects: {damaged}"
    facts = {"source/remark": remark} if damaged else {}
    runs = runs_in(path.stem, table_of_objects(objects), SOURCE, facts)
    runs = [run for run in runs if run.series]
    if not runs:
        raise UnreadableRunError(f"{path} holds JSON objects without a number")
    return runs


def _objects(lines: Sequence[str]) -> tuple[list[dict[str, object]], int]:
    """The objects of lines, and how many lines are none."""
    said = [line for line in lines if line and not line.isspace()]
    found = [flat(it) for it in map(parsed, said) if isinstance(it, dict)]
    return found, len(said) - len(found)


def _list(text: str) -> tuple[list[dict[str, object]], int]:
    """The objects of a list; of one that was cut off, those before the cut."""
    value = parsed(text)
    if isinstance(value, list):
        found = [flat(it) for it in value if isinstance(it, dict)]
        return found, len(value) - len(found)
    found = _first_of_list(text)
    return found, 1


def _first_of_list(text: str) -> list[dict[str, object]]:
    """The objects at the start of a list, which need not be whole."""
    decoder, found, place = json.JSONDecoder(), [], text.find("[") + 1
    while place < len(text):
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            break
        if isinstance(value, dict):
            found.append(flat(value))
    return found


def _is_log(objects: Sequence[Mapping[str, object]]) -> bool:
    """Whether objects count steps beside other numbers, or hold a loss and no words."""
    if len(objects) < FEWEST:
        return False
    kinds = [{n: number_of(v) is not None for n, v in o.items() if v is not None} for o in objects]
    numbers = list(dict.fromkeys(n for kind in kinds for n, is_number in kind.items() if is_number))
    axes = [n for n in numbers if naming.is_step(n) or naming.is_epoch(n)]
    if axes and len(numbers) > len(axes):
        counting = sum(any(n in kind for n in axes) for kind in kinds)
        return counting > 0.5 * len(kinds)
    wordy = sum(not all(kind.values()) for kind in kinds)
    return is_log(numbers) and not wordy


json_lines = Source(SOURCE, knows, read, rank=1)
