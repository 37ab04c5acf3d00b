"""The runs below a folder, kept up to date at a bounded cost: only what changed is read again."""

import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from unstuck.diagnose import diagnose
from unstuck.live.growth import State, changed_at, grown, patience, state_of
from unstuck.load import Place, places, read
from unstuck.policy import Policy, judged
from unstuck.records import SEVERITIES, Diagnosis, Run, Severity
from unstuck.source import UnreadableRunError

SHARE = 0.05  # of one core, for reading again and diagnosing what has changed
FIRST_SHARE = 0.5  # the same while runs are read that have not been read yet
MOST_READINGS = 4_000_000  # held in memory at a time (about 100 MB)
SCAN_EVERY = 5.0  # seconds between looks for new runs, more where looking takes long
SOON = 2.0  # seconds until a second reading: the first may have had to load libraries
LATEST = 300.0  # seconds until a reading, however long it takes
CHECK_EVERY = 1.0  # seconds between looks at the files of a run that is going on
CHECK_QUIET = 15.0  # the same for one that has not changed for QUIET_FROM seconds
QUIET_FROM = 600.0
LOOKED_AT = 30.0  # seconds for which a run counts as being looked at


@dataclass(frozen=True, slots=True)
class Row:
    """What a list shows of a run, known without holding its series."""

    number: int
    name: str
    steps: int = 0
    readings: int = 0
    changed: float = 0.0
    patience: float = 0.0  # seconds without a change after which it counts as ended
    going: bool = False
    worst: Severity | None = None
    message: str = ""  # of the likeliest cause: code, then what was seen
    causes: int = 0
    unchecked: int = 0
    error: str = ""  # why it cannot be read
    read: bool = True  # False: it is there, but it was not its turn yet


@dataclass(slots=True)
class Book:
    """One place: what it held when it was last read, and when it may be looked at again."""

    place: Place
    rows: tuple[Row, ...] = ()
    state: State = ()  # of its files now
    read_state: State | None = None  # when they were read wholly
    seen_state: State | None = None  # when they were read at all
    error: str = ""
    check_at: float = 0.0
    whole_at: float = 0.0  # not to be read wholly before
    on_at: float = 0.0  # not to be read on before
    viewed: float = 0.0
    version: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Shelf:
    """Every run at or below a path. All methods may be called from any thread."""

    def __init__(
        self, root: Path, policy: Policy | None = None, *, scan_every: float = SCAN_EVERY
    ) -> None:
        self.root = root
        self._scan_every = scan_every
        self.version = 0
        self.scanned = False
        self.problem = ""  # why there is nothing, in one line
        self._policy = policy or Policy()
        self._books: dict[str, Book] = {}
        self._numbers: dict[tuple[str, int], int] = {}
        self._at: dict[int, tuple[str, int]] = {}
        self._held: dict[str, tuple[Diagnosis, ...]] = {}  # the least recently used first
        self._scan_at = 0.0
        self._whole_at = 0.0
        self._lock = threading.RLock()

    def rows(self) -> list[Row]:
        """Every run, by name, those not read yet too."""
        with self._lock:
            return [row for book in self._books.values() for row in self._rows(book)]

    def row(self, number: int) -> Row | None:
        found = self._book(number)
        return self._rows(found[0])[found[1]] if found else None

    def version_of(self, number: int) -> int:
        """Grows whenever the run has; -1 where there is none of this number."""
        found = self._book(number)
        return found[0].version if found else -1

    def opened(self, number: int) -> Diagnosis | None:
        """A run with its diagnosis, read now if it is not in memory; None where there is none."""
        found = self._book(number)
        if found is None:
            return None
        book, index = found
        book.viewed = time.time()
        with book.lock:
            held = self._taken(book)
            if held is None and not (book.error and book.read_state == state_of(book.place)):
                held = self._read_whole(book)
        return held[index] if held and index < len(held) else None

    def look(self) -> bool:
        """Do the most urgent piece of work, if there is one; whether something was done."""
        now = time.time()
        if now >= self._scan_at:
            self._scan()
            return True
        with self._lock:
            books = list(self._books.values())
        for book in books:
            if now >= book.check_at:
                self._check(book, now)
        waiting = [b for b in books if b.state != b.read_state]
        for book in sorted(waiting, key=_urgency):
            if now >= self._whole_at and now >= book.whole_at:
                with book.lock:
                    self._read_whole(book)
                return True
            viewed = now - book.viewed < LOOKED_AT
            if viewed and book.state != book.seen_state and now >= book.on_at:
                with book.lock:
                    if self._read_on(book):
                        return True
        return False

    def _scan(self) -> None:
        began = time.monotonic()
        try:
            found, problem = places(self.root), ""
        except UnreadableRunError as error:
            found, problem = [], str(error)
        with self._lock:
            there = {place.name: place for place in found}
            changed = there.keys() != self._books.keys() or problem != self.problem
            self._books = {
                name: self._books.get(name) or Book(place) for name, place in sorted(there.items())
            }
            for name in self._held.keys() - there.keys():
                del self._held[name]
            self.problem, self.scanned = problem, True
            self.version += changed
        self._scan_at = time.time() + max(self._scan_every, (time.monotonic() - began) / SHARE)

    def _check(self, book: Book, now: float) -> None:
        state = state_of(book.place)
        if not state:
            self._scan_at = 0.0  # it has gone
        book.state = state
        quiet = now - changed_at(state) > QUIET_FROM and now - book.viewed > LOOKED_AT
        book.check_at = now + (CHECK_QUIET if quiet else CHECK_EVERY)

    def _read_whole(self, book: Book) -> tuple[Diagnosis, ...] | None:
        """Read and diagnose a place; the book's lock is held."""
        first, began = book.read_state is None, time.thread_time()
        state = state_of(book.place)
        held, error = self._diagnosed(book.place)
        spent = time.thread_time() - began
        now = time.time()
        self._whole_at = now + min(spent * (1 / (FIRST_SHARE if first else SHARE) - 1), LATEST)
        book.whole_at = now + min(spent / SHARE, SOON if first else LATEST)
        book.read_state = book.seen_state = book.state = state
        self._keep(book, held, error)
        return held

    def _diagnosed(self, place: Place) -> tuple[tuple[Diagnosis, ...], str]:
        """The runs at a place, and what kept them from being read or diagnosed."""
        runs: list[Run] = []
        try:
            runs = read(place, self._policy.roles)
            return tuple(judged(diagnose(run), self._policy) for run in runs), ""
        except UnreadableRunError as error:
            return (), str(error)
        except Exception as error:  # one log must not end the watch over all the others
            told = f"it could not be diagnosed ({type(error).__name__}: {error})"
            return tuple(Diagnosis(run, ()) for run in runs), told

    def _read_on(self, book: Book) -> bool:
        """Take on what was appended, and leave the diagnosis as it is; whether that was possible.

        The book's lock is held.
        """
        began = time.thread_time()
        held, state = self._taken(book), state_of(book.place)
        if held is None or len(held) != 1:
            return False
        try:
            run = grown(held[0].run, book.place)
        except UnreadableRunError:
            return False
        if run is None:
            return False
        book.seen_state = state
        book.on_at = time.time() + (time.thread_time() - began) / SHARE
        self._keep(book, (replace(held[0], run=run),), "")
        return True

    def _keep(self, book: Book, held: tuple[Diagnosis, ...], error: str) -> None:
        """Hold what was read, give up the longest unused, and tell that something is new."""
        name = book.place.name
        with self._lock:
            if held:
                self._held.pop(name, None)
                self._held[name] = held
                for other in list(self._held)[:-1]:
                    if (
                        sum(readings(d.run) for h in self._held.values() for d in h)
                        <= MOST_READINGS
                    ):
                        break
                    del self._held[other]
            if held or not book.rows:
                numbers = [self._number(name, i) for i in range(max(1, len(held)))]
                book.rows = (
                    tuple(_row(n, d, book.place) for n, d in zip(numbers, held, strict=True))
                    if held
                    else (Row(numbers[0], name or self.root.name),)
                )
            book.error = error
            book.version += 1
            self.version += 1

    def _taken(self, book: Book) -> tuple[Diagnosis, ...] | None:
        """What is held of a book, which is thereby the most recently used."""
        with self._lock:
            held = self._held.pop(book.place.name, None)
            if held is not None:
                self._held[book.place.name] = held
            return held

    def _rows(self, book: Book) -> list[Row]:
        """The rows as they are at this moment."""
        changed = changed_at(book.state)
        quiet = time.time() - changed
        if not book.rows:
            name = book.place.name or self.root.name
            return [Row(self._number(book.place.name, 0), name, changed=changed, read=False)]
        return [
            replace(row, changed=changed, going=quiet < row.patience, error=book.error)
            for row in book.rows
        ]

    def _book(self, number: int) -> tuple[Book, int] | None:
        with self._lock:
            name, index = self._at.get(number, ("", -1))
            book = self._books.get(name)
            return (book, index) if book and 0 <= index < max(1, len(book.rows)) else None

    def _number(self, name: str, index: int) -> int:
        with self._lock:
            number = self._numbers.setdefault((name, index), len(self._numbers) + 1)
            self._at[number] = (name, index)
            return number


def _urgency(book: Book) -> tuple[bool, float, float]:
    """What was never read comes first, then what somebody looks at, then the newest."""
    return book.read_state is not None, -book.viewed, -changed_at(book.state)


def readings(run: Run) -> int:
    return sum(len(s) for s in run.series.values())


def _row(number: int, diagnosis: Diagnosis, place: Place) -> Row:
    run = diagnosis.run
    first = diagnosis.causes[0].finding if diagnosis.causes else None
    return Row(
        number,
        run.name,
        steps=run.last_step + 1,
        readings=readings(run),
        patience=patience(run, place),
        worst=min((f.severity for f in diagnosis.findings), key=SEVERITIES.index, default=None),
        message=f"{first.code} {first.message}" if first else "",
        causes=len(diagnosis.causes),
        unchecked=len({u.code for u in diagnosis.unchecked if not u.partly}),
    )
