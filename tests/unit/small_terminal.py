"""As much of a terminal as a view needs: lines, a cursor, a scrolling region; no colours."""

import re

TOKEN = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|\x1b([78])|(\r)|(\n)|(\x1b.)|([^\x1b\r\n]+)")


class SmallTerminal:
    """Feed it what a program writes; `lines` is what a person sees."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines = [" " * columns for _ in range(rows)]
        self.row = self.column = 0
        self.top, self.bottom = 0, rows - 1
        self._saved = (0, 0)

    def feed(self, text: str) -> None:
        for found in TOKEN.finditer(text):
            numbers, letter, kept, back, newline, other, plain = found.groups()
            if letter:
                self._control(numbers, letter)
            elif kept == "7":
                self._saved = (self.row, self.column)
            elif kept == "8":
                self.row, self.column = self._saved
            elif back:
                self.column = 0
            elif newline:
                self._line_feed()
            elif plain:
                self._write(plain)
            else:
                raise AssertionError(f"unknown sequence {other!r}")

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)

    def _control(self, numbers: str, letter: str) -> None:
        values = [int(n) for n in numbers.strip("?").split(";") if n]
        if letter == "r":
            self.top, self.bottom = (values[0] - 1, values[1] - 1) if values else (0, self.rows - 1)
            self.row = self.column = 0
        elif letter == "H":
            self.row, self.column = (values[0] - 1, values[1] - 1) if values else (0, 0)
        elif letter == "A":
            self.row = max(0, self.row - (values[0] if values else 1))
        elif letter == "K":
            self.lines[self.row] = " " * self.columns
        else:
            assert letter in "mhl", f"unknown control {numbers}{letter}"

    def _line_feed(self) -> None:
        if self.row == self.bottom:
            del self.lines[self.top]
            self.lines.insert(self.bottom, " " * self.columns)
        elif self.row < self.rows - 1:
            self.row += 1

    def _write(self, text: str) -> None:
        for character in text:
            if self.column == self.columns:
                self.column = 0
                self._line_feed()
            line = self.lines[self.row]
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1
