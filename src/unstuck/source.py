"""The shape of a log reader: does it know this path, and the runs it reads there."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unstuck.records import Run


class UnreadableRunError(ValueError):
    """A path that holds no run we can read; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """One log format: `knows(path)` looks at the content, `read(path)` gives its runs.

    A directory that a source knows is read by it with all that lies below. Sources are asked in
    the order of `rank`: 0 for what one program alone writes, 1 for tables any program may write, 2
    for text. `read` raises UnreadableRunError, and no other error, on whatever it is given.
    """

    name: str
    knows: Callable[[Path], bool]
    read: Callable[[Path], list[Run]]
    rank: int = 0

    @property
    def page(self) -> str:
        """The docstring of the source's file, which is also its page in the docs."""
        return sys.modules[self.read.__module__].__doc__ or ""
