"""SQLite files of other programs: opened for reading only, and read where tables are plain."""

import sqlite3
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path

from unstuck.reading.bounds import head
from unstuck.source import UnreadableRunError

MAGIC = b"SQLite format 3\x00"
LONGEST_CELL = 1_000_000  # bytes of one value or statement


def has_tables(path: Path, wanted: Set[str]) -> bool:
    """Whether a file is a database with all of these tables."""
    if head(path, len(MAGIC)) != MAGIC:
        return False
    try:
        with opened(path) as connection:
            return wanted <= _kinds(connection).keys()
    except UnreadableRunError:
        return False


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads; errors of the database end in one UnreadableRunError.

    Where no writer has left a write-ahead log, nothing is touched or made beside the file.
    """
    try:
        connection = _connected_as_it_stands(path)
    except (sqlite3.Error, ValueError) as error:  # a message that is no text is a ValueError
        told = f"{path} is damaged and cannot be read as a database ({_line(error)})"
        raise UnreadableRunError(told) from None
    try:
        yield connection
    except (sqlite3.Error, ValueError, TypeError, OverflowError, MemoryError) as error:
        # SQLite runs out of memory at once where a damaged cell claims gigabytes
        if isinstance(error, UnreadableRunError):
            raise
        raise UnreadableRunError(f"{path} is damaged and cannot be read ({_line(error)})") from None
    finally:
        connection.close()


def check_tables(
    connection: sqlite3.Connection, path: Path, wanted: Mapping[str, Set[str]]
) -> None:
    """UnreadableRunError unless these are plain tables with these columns, none computed."""
    kinds = _kinds(connection)
    for table, columns in wanted.items():
        rows = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,))
        computed = dict(rows.fetchall())
        if kinds.get(table) != "table" or not columns <= computed.keys():
            raise UnreadableRunError(
                f"{path} has no table {table} with {', '.join(sorted(columns))}"
            )
        if any(computed[column] for column in columns):
            raise UnreadableRunError(f"{path} computes columns of its table {table}; not read")


def _connected_as_it_stands(path: Path) -> sqlite3.Connection:
    live = path.with_name(f"{path.name}-wal").exists()
    try:
        return _connected(path, "mode=ro" if live else "immutable=1")
    except sqlite3.OperationalError:  # a directory that cannot be written has no room for an index
        return _connected(path, "immutable=1")


def _connected(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)
    try:
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_CELL)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except (sqlite3.Error, ValueError):
        connection.close()
        raise
    return connection


def _line(error: Exception) -> str:
    """What an error says, in one line: it may quote the file."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _kinds(connection: sqlite3.Connection) -> dict[str, str]:
    """Of each name in the schema: table, virtual table, view or trigger."""
    rows = connection.execute("SELECT name, type, sql FROM sqlite_master WHERE type != 'index'")
    virtual = "create virtual"
    return {
        str(name): "virtual table" if str(sql).lower().startswith(virtual) else str(kind)
        for name, kind, sql in rows
    }
