"""The last lines of a terminal, kept apart: what a script prints scrolls above them untouched.

The terminal itself is told to scroll only the lines above (the scrolling region of the VT100,
DECSTBM). The script writes to the terminal as ever: nothing of its output passes through us.
"""

import os
from collections.abc import Sequence

SAVE, RESTORE = "\x1b7", "\x1b8"
WHOLE = "\x1b[r"  # scroll the whole screen again
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"
LEAST_ROWS, LEAST_COLUMNS = 16, 40


def has_room(descriptor: int) -> bool:
    """Whether this is a terminal that understands us and is large enough for both."""
    if not os.isatty(descriptor) or os.environ.get("TERM", "dumb") == "dumb":
        return False
    columns, rows = os.get_terminal_size(descriptor)
    return rows >= LEAST_ROWS and columns >= LEAST_COLUMNS


class Region:
    """The lines below the scrolling ones. Writes in single pieces, between those of the script."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.columns = self._rows = self.height = 0

    def fit(self) -> None:
        """Take the lines, anew where the terminal has changed its size."""
        columns, rows = os.get_terminal_size(self._descriptor)
        if (columns, rows) == (self.columns, self._rows):
            return
        self.columns, self._rows = columns, rows
        self.height = max(1, min(16, rows * 2 // 5))
        room = "\n" * self.height + f"\x1b[{self.height}A"  # push up what stands there
        self._write(f"{room}{SAVE}\x1b[1;{rows - self.height}r{RESTORE}")

    def draw(self, lines: Sequence[str]) -> None:
        """Show the lines, whatever was there before; they may hold colours."""
        self._write(self._drawing([*lines, *[""] * self.height][: self.height]))

    def close(self) -> None:
        """Give the lines back, empty."""
        if self.height:
            self._write(f"{self._drawing([''] * self.height)}{SAVE}{WHOLE}{RESTORE}")
            self.height = self._rows = 0

    def _drawing(self, lines: Sequence[str]) -> str:
        top = self._rows - self.height + 1
        drawn = "".join(f"\x1b[{top + i};1H\x1b[2K{line}" for i, line in enumerate(lines))
        return f"{SAVE}{NO_WRAP}{drawn}{WRAP}{RESTORE}"

    def _write(self, text: str) -> None:
        left = text.encode("utf-8", "replace")
        while left:
            left = left[os.write(self._descriptor, left) :]
