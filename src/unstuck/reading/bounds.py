"""Limits on what is read: a log is untrusted, and a damaged one may claim any size."""

from functools import lru_cache
from pathlib import Path
from stat import S_ISREG

from unstuck.source import UnreadableRunError

MOST_BYTES = 2_000_000_000  # of one file
MOST_SERIES = 20_000  # of one run
MOST_READINGS = 50_000_000  # of one run
LONGEST_NAME = 1_000  # characters of a series' name that are kept
HEAD = 65_536  # bytes that tell a format
FIRST_LINES = 4  # that tell a table from other text
LONGEST_OPENING = 8_000_000  # bytes, where these lines are long


def head(path: Path, count: int = HEAD) -> bytes:
    """The first bytes of a file, at most `HEAD`; empty where it is none or cannot be read."""
    try:
        stat = path.stat()
        regular = S_ISREG(stat.st_mode)
        return _head(path, stat.st_size, stat.st_mtime_ns)[:count] if regular else b""
    except OSError:
        return b""


def opening(path: Path) -> bytes:
    """The first bytes of a file, more than `HEAD` where its first lines are longer than that."""
    start = head(path)
    if len(start) < HEAD or start.count(b"\n") >= FIRST_LINES:
        return start
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_OPENING)
    except OSError:
        return b""


@lru_cache(maxsize=4)
def _head(path: Path, size: int, changed: int) -> bytes:
    """Read once, though every source asks for it in turn."""
    with path.open("rb") as file:
        return file.read(HEAD)


def content(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file; UnreadableRunError where it is missing, unreadable or too large."""
    try:
        size = path.stat().st_size
        if size > most:
            raise UnreadableRunError(
                f"{path} has {size:,} bytes, more than the {most:,} that are read; "
                "give a shorter part of it"
            )
        return path.read_bytes()
    except OSError as error:
        raise UnreadableRunError(f"{path} cannot be read ({error.strerror or error})") from None


def short_name(name: str) -> str:
    """A name of bounded length; its middle is left out."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME // 2]}~{name[-LONGEST_NAME // 2 :]}"
