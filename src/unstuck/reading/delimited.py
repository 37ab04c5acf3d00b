"""Text with a header and rows of cells between commas, tabs, semicolons or bars -> a table."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unstuck.reading.bounds import FIRST_LINES, HEAD, LONGEST_OPENING, content, opening
from unstuck.reading.columns import MISSING, number_of
from unstuck.reading.tables import Table, is_log, table_of
from unstuck.reading.text import decoded, is_text, plain
from unstuck.source import UnreadableRunError

MOST = 500_000_000  # bytes of one table
DELIMITERS = (",", "\t", ";", "|")
FITTING = 0.5  # share of rows with as many cells as the header that make a table
PREAMBLE = 20  # lines before the header at most
WIDEST_CELL = 10_000_000  # characters; some loggers put whole histograms into one
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+(?:[eE][-+]?\d+)?\s*")
_ENDS = (b"\n", b"\r", b"\n\x00", b"\r\x00")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the header of a table is, and how its cells are told apart."""

    names: list[str]
    lines_before: int
    delimiter: str
    decimal_commas: bool


def header_of(path: Path) -> list[str]:
    """The names of the columns of a file that is a table a training could have written."""
    start = opening(path)
    if not is_text(start) or start.lstrip()[:1] in (b"{", b"["):
        return []
    try:
        layout = layout_of(plain(decoded(start)))
    except (csv.Error, UnreadableRunError):
        return []
    return layout.names if layout else []


def table_in(path: Path) -> tuple[Table, dict[str, str]]:
    """The table in a file, and remarks on it; UnreadableRunError where there is none."""
    data = content(path, MOST)
    text = plain(decoded(data))
    try:
        layout = layout_of(text)
        if layout is None:
            raise UnreadableRunError(f"{path} is no table with a header and numbers")
        rows = _Rows(text, layout, whole=data.endswith(_ENDS))
        table = table_of(rows.names, rows)
    except csv.Error as error:
        raise UnreadableRunError(f"{path} is a damaged table ({error})") from None
    remarks = ["the last row was cut off"] if rows.cut else []
    if rows.others:
        remarks.append(f"rows left out that are not as long as the header: {rows.others}")
    return table, {"source/remark": "; ".join(remarks)} if remarks else {}


def layout_of(text: str) -> Layout | None:
    """How the first lines of a table are laid out; None where they are none."""
    short = text.count("\n", 0, HEAD) >= FIRST_LINES
    lines = text[: HEAD if short else LONGEST_OPENING].split("\n")[: PREAMBLE + 40]
    for delimiter in DELIMITERS:
        if not any(delimiter in line for line in lines):
            continue
        for place in range(min(PREAMBLE, len(lines) - 1)):
            if found := _header_at(lines, place, delimiter):
                return found
    return _header_at(lines, 0, ",") if len(lines) > 2 else None


def _header_at(lines: list[str], place: int, delimiter: str) -> Layout | None:
    """The layout, if the line at `place` is a header and what follows are its rows."""
    if place and delimiter not in lines[place]:
        return None
    with _wide_cells():
        names = next(csv.reader([lines[place].lstrip("# ")], delimiter=delimiter), [])
        below = [line for line in lines[place + 1 : place + 30] if not _comment(line)]
        rows = list(csv.reader(below[:-1] if len(below) > 1 else below, delimiter=delimiter))
    names = [name.strip() for name in names]
    while names and not names[-1]:
        names.pop()
    if not names or any(number_of(n) is not None for n in names if n):
        return None
    if not rows or sum(map(bool, names)) < 0.5 * len(names):
        return None
    commas = delimiter != "," and any(_DECIMAL_COMMA.fullmatch(c) for row in rows for c in row)
    widest = len(names) + (len(names) > 1)
    fitting = [row for row in rows if len(names) <= len(row) <= widest]
    if len(fitting) < FITTING * len(rows):
        return None
    cells = list(zip(*[row[: len(names)] for row in fitting], strict=True))
    if not is_log([n for n, column in zip(names, cells, strict=True) if n and _numeric(column)]):
        return None
    return Layout(names, place + 1, delimiter, commas)


def _numeric(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers, and hardly a word."""
    said = [c for c in cells if c.strip().lower() not in MISSING]
    numbers = sum(number_of(c) is not None or bool(_DECIMAL_COMMA.fullmatch(c)) for c in said)
    return numbers > 0.8 * len(said)


class _Rows:
    """The rows below the header, each in the order of `names`; later headers are followed."""

    def __init__(self, text: str, layout: Layout, whole: bool) -> None:
        self.layout = layout
        self.names = list(layout.names)
        self.cut = False
        self.others = 0  # rows of another length: which of their cells belong where?
        body = text.split("\n", layout.lines_before)[-1]
        if not whole and body.count("\n") > 1:
            before, _, last = body.rstrip("\n").rpartition("\n")
            if last.count(layout.delimiter) < len(layout.names) - 1:
                body, self.cut = before + "\n", True
        self.body = body
        self.names += [n for header in self._later_headers() for n in header if n not in self.names]

    def _later_headers(self) -> Iterator[list[str]]:
        """Headers of restarts that differ: a line with the first name once more."""
        first = self.layout.names[0]
        places = re.finditer(rf"(?m)^[\"# ]*{re.escape(first)}\b.*$", self.body) if first else []
        for match in places:
            row = next(csv.reader([match[0].lstrip("# ")], delimiter=self.layout.delimiter), [])
            if self._is_header(row):
                yield [name.strip() for name in row if name.strip()]

    def _is_header(self, row: list[str]) -> bool:
        place = next(i for i, name in enumerate(self.layout.names) if name)
        return (
            len(row) > place
            and row[place].strip(" #") == self.layout.names[place]
            and not any(number_of(cell) is not None for cell in row)
        )

    def __iter__(self) -> Iterator[list[str]]:
        width = len(self.layout.names)
        order: list[int] | None = None  # of the columns since the last header, where it changed
        with _wide_cells():
            for row in csv.reader(io.StringIO(self.body), delimiter=self.layout.delimiter):
                if self._is_header(row):
                    header = [name.strip() for name in row]
                    width = len(header)
                    order = None if header == self.layout.names else self._places(header)
                elif len(row) < width or any(row[width:]):
                    self.others += bool(row) and not row[0].startswith("#")
                elif not row[0].startswith("#"):
                    cells = row
                    if self.layout.decimal_commas:
                        cells = [_plain_number(cell, True) for cell in row]
                    yield cells if order is None else self._ordered(cells, order)

    def _places(self, header: list[str]) -> list[int]:
        return [self.names.index(n) if n in self.names else -1 for n in header]

    def _ordered(self, cells: list[str], order: list[int]) -> list[str]:
        row = [""] * len(self.names)
        for place, cell in zip(order, cells, strict=False):
            if place >= 0:
                row[place] = cell
        return row


def _plain_number(cell: str, commas: bool) -> str:
    return cell.replace(",", ".") if commas and _DECIMAL_COMMA.fullmatch(cell) else cell


def _comment(line: str) -> bool:
    return not line.strip() or line.startswith("#")


@contextmanager
def _wide_cells() -> Iterator[None]:
    """The csv module's limit on a cell, raised while a table is read."""
    before = csv.field_size_limit(WIDEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)
