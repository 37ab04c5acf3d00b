"""The shape of a log reader: does it know this path, and the runs it reads there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unstuck.records import Run


class UnreadableRunError(ValueError):
    """A path that holds no run we can read; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """One log format: `knows(path)` looks at the content, `read(path)` gives its runs."""

    name: str
    knows: Callable[[Path], bool]
    read: Callable[[Path], list[Run]]
