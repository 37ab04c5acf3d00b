"""Tables of one name and one value a row, printed again and again -> one line for each.

>>> unboxed(["---------", "| time/    |   |", "|    steps | 7 |", "| loss | 2 |", "---------"])
['time/steps=7 loss=2']
"""

import re

from unstuck.reading.fields import shape_of, split_line

MOST_ROWS = 200
_EDGE = re.compile(r"\s{0,200}[-+=]{8,}\s*")
_ROW = re.compile(r"\s{0,200}\|([^|]{1,200})\|([^|]{0,200})\|\s*")
_NUMBER = re.compile(r"[-+]?(?:[\d.]|nan|inf)", re.IGNORECASE)
_NO_NAME = re.compile(r"[^\w/.@+&-]+|\.{2,}")


def unboxed(lines: list[str]) -> list[str]:
    """The lines with each table of names and values between edges as one line."""
    if not any(line[:1] == "|" for line in lines):
        return lines
    found: list[str] = []
    rows: list[str] | None = None  # since the last edge, as long as they are such rows
    for line in lines:
        if rows is not None and len(rows) < MOST_ROWS and _ROW.fullmatch(line):
            rows.append(line)
            continue
        edge = _EDGE.fullmatch(line) is not None
        found += _joined(rows) if rows and edge else rows or []
        rows = [] if edge else None
        if not edge:
            found.append(line)
    last = _joined(rows or [])  # cut off: it is read where it says what it is about
    return found + (last if last and shape_of(split_line(last[0])[0]).counters else [])


def _joined(rows: list[str]) -> list[str]:
    """One line with `name=value` of each row; the rows as they are where they hold none.

    Rows set in further belong to the group named above them.
    """
    said, group = [], ""
    for row in rows:
        match = _ROW.fullmatch(row)
        name, value = (match[1], match[2].strip()) if match else ("", "")
        plain = _NO_NAME.sub("_", name.strip()).strip("_.")
        if plain[:1].isdigit():
            return rows
        if not value and plain.endswith("/"):
            group = plain
        elif plain and _NUMBER.match(value):
            said.append(f"{group if name.startswith('   ') else ''}{plain}={value}")
    return [" ".join(said)] if said else rows
