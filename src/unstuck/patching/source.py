"""A script's source with exact places: reading it, finding in it, changing it and nothing else.

Line ends, tabs, comments and the encoding stay as they are: an edit replaces bytes between two
places that the syntax tree names.
"""

import ast
import io
import re
import tokenize
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

MOST_BYTES = 2_000_000
_LINE_END = re.compile(rb"\r\n|\r|\n")


class NotPatchable(Exception):  # noqa: N818  it is an answer: why there is no patch
    """Why no line of the script can be changed, in one line."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes from `start` to `end` of the source become `text`."""

    start: int
    end: int
    text: str


class Source:
    """The text of a script and its syntax tree; NotPatchable where it cannot be read."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) > MOST_BYTES:
            raise NotPatchable("the script is too large to be patched")
        try:
            self.encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
            text = raw.decode(self.encoding)
            self.tree = ast.parse(text)
        except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
            raise NotPatchable("the script is no Python that can be read") from None
        self.data = text.encode()  # columns of the syntax tree count UTF-8 bytes
        self.starts = [0, *(m.end() for m in _LINE_END.finditer(self.data))]
        self.parents = {
            child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)
        }

    @classmethod
    def of(cls, script: Path) -> "Source":
        try:
            return cls(script.read_bytes())
        except OSError as error:
            raise NotPatchable(f"cannot read {script}: {error.strerror}") from None

    def start(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self.starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def text(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        return self.data[self.start(node) : self.end(node)].decode()

    def all(self, kind: type[ast.AST]) -> Iterator[ast.AST]:
        """Every node of a kind, in the order of the source."""
        found = [n for n in ast.walk(self.tree) if isinstance(n, kind)]
        return iter(
            sorted(found, key=lambda n: (getattr(n, "lineno", 0), getattr(n, "col_offset", 0)))
        )

    def calls(self, *names: str) -> list[ast.Call]:
        """Calls of functions and methods by the last part of their names."""
        found = (n for n in self.all(ast.Call) if isinstance(n, ast.Call))
        return [n for n in found if last_name(n.func) in names]

    def has_import(self, module: str) -> bool:
        """Whether `import <module>` stands at the top."""
        return any(
            alias.name == module and alias.asname is None
            for node in self.tree.body
            if isinstance(node, ast.Import)
            for alias in node.names
        )

    def statement(self, node: ast.AST) -> ast.stmt:
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def scope(self, node: ast.AST) -> ast.AST:
        """The function or module that a node stands in."""
        while not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)):
            node = self.parents[node]
        return node

    # Edits -----------------------------------------------------------------------------

    def replaced(self, node: ast.expr, text: str) -> Edit:
        return Edit(self.start(node), self.end(node), text)

    def after(self, statement: ast.stmt, text: str) -> Edit:
        """One more statement in a line of its own after this one."""
        indent, _, end, line_end = self._line(statement)
        whole = self.data[:end].endswith((b"\n", b"\r"))
        return Edit(
            end, end, ("" if whole else line_end) + indent + text + (line_end if whole else "")
        )

    def before(self, statement: ast.stmt, text: str) -> Edit:
        indent, start, _, line_end = self._line(statement)
        return Edit(start, start, indent + text + line_end)

    def under(self, statement: ast.stmt, head: str) -> Edit:
        """This statement as the only one of a block."""
        indent, _, _, line_end = self._line(statement)
        deeper = indent + ("\t" if "\t" in indent else "    ")
        start = self.start(statement)
        return Edit(start, start, head + line_end + deeper)

    def deleted(self, statement: ast.stmt) -> Edit:
        """Without this statement; a block that would be empty gets a `pass`."""
        _, start, end, _ = self._line(statement)
        parent = self.parents[statement]
        blocks = (getattr(parent, name, None) for name in ("body", "orelse", "finalbody"))
        if any(block == [statement] for block in blocks):
            return Edit(self.start(statement), self.end(statement), "pass")
        return Edit(start, end, "")

    def with_keyword(self, call: ast.Call, name: str, text: str) -> Edit:
        """A call with a keyword argument set anew."""
        for keyword in call.keywords:
            if keyword.arg == name:
                return self.replaced(keyword.value, text)
        last = [*call.args, *(k.value for k in call.keywords)]
        closing = self.end(call) - 1
        if not last:
            return Edit(closing, closing, f"{name}={text}")
        place = max(self._closed(self.end(node), closing) for node in last)
        return Edit(place, place, f", {name}={text}")

    def changed(self, edits: Sequence[Edit]) -> bytes:
        """The script's bytes after all edits; NotPatchable where they meet or break the syntax."""
        data = self.data
        ordered = sorted(dict.fromkeys(edits), key=lambda e: (e.start, e.end), reverse=True)
        for later, earlier in pairwise(ordered):
            if earlier.end > later.start:
                raise NotPatchable("two changes fall on the same line")
        for edit in ordered:
            data = data[: edit.start] + edit.text.encode() + data[edit.end :]
        try:
            ast.parse(data.decode())
            return data.decode().encode(self.encoding)
        except (SyntaxError, ValueError):
            raise NotPatchable("the changed script would not be Python any more") from None

    def _closed(self, end: int, closing: int) -> int:
        """Behind the brackets that close around an argument: `(a)` ends after its bracket."""
        match = re.compile(rb"[ \t]*\)").match(self.data, end, closing)
        return self._closed(match.end(), closing) if match else end

    def _line(self, statement: ast.stmt) -> tuple[str, int, int, str]:
        """Indentation, start and end of the lines that a statement has to itself, and their end."""
        first = self.starts[statement.lineno - 1]
        indent = self.data[first : self.start(statement)]
        row = bisect_right(self.starts, self.end(statement))
        end = self.starts[row] if row < len(self.starts) else len(self.data)
        rest = self.data[self.end(statement) : end]
        if indent.strip() or not re.fullmatch(rb"[ \t]*(#[^\r\n]*)?[\r\n]*", rest):
            raise NotPatchable(f"line {statement.lineno} holds more than one statement")
        found = _LINE_END.search(self.data)
        return indent.decode(), first, end, found[0].decode() if found else "\n"


def last_name(node: ast.AST | None) -> str:
    """`torch.optim.Adam` -> Adam; empty for what is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def number(node: ast.AST | None) -> float | None:
    """A number that is written out."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = number(node.operand)
        return None if inner is None else -inner
    plain = isinstance(node, ast.Constant) and isinstance(node.value, (int, float))
    if plain and isinstance(node, ast.Constant) and not isinstance(node.value, bool):
        return float(node.value)  # type: ignore[arg-type]
    return None


def written(value: float) -> str:
    """A number as a person writes it, to twelve digits.

    >>> written(0.1 * 0.1), written(3.0), written(1e-9)
    ('0.01', '3.0', '1e-09')
    """
    text = f"{value:.12g}"
    return text if any(c in text for c in ".einf") else f"{text}.0"
