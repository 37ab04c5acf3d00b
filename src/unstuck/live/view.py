"""The thread that shows a run in the terminal while its script runs."""

import contextlib
import sys
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from unstuck.live.panel import ASCII, UNICODE, panel
from unstuck.live.reader import Reader
from unstuck.live.region import Region
from unstuck.live.shelf import Shelf
from unstuck.records import Diagnosis

EVERY = 1.0  # seconds between drawings


class View(threading.Thread):
    """Draws what is known of the run in a directory until it is stopped. Never raises."""

    def __init__(self, directory: Path, name: str) -> None:
        super().__init__(name="unstuck-view", daemon=True)
        self._name = name
        self._shelf = Shelf(directory, scan_every=EVERY)
        self._reader = Reader(self._shelf)
        self._began = time.monotonic()
        self._ended = threading.Event()
        encoding = (sys.stderr.encoding or "").lower().replace("-", "")
        self._signs = UNICODE if encoding.startswith("utf") else ASCII
        self._region = Region(sys.stderr.fileno())

    def stop(self) -> None:
        """Give the terminal back as it was."""
        self._ended.set()
        if self.is_alive():
            self.join(timeout=10)

    def run(self) -> None:
        try:
            self._reader.start()
            while not self._ended.is_set():
                self._reader.wanted()
                self._region.fit()
                self._region.draw(self._lines())
                self._ended.wait(EVERY)
        except Exception as error:  # whatever it is, the script goes on
            self._give_back(f"unstuck: the live view has ended ({error})\n")
        finally:
            self._give_back()
            self._reader.stop(patience=0.5)

    def _give_back(self, message: str = "") -> None:
        with contextlib.suppress(OSError):  # the terminal may have gone
            self._region.close()
            sys.stderr.write(message)

    def _lines(self) -> list[str]:
        seconds = time.monotonic() - self._began
        width, height = self._region.columns, self._region.height
        shown = panel(self._name, seconds, self._known(), width, height, self._signs)
        return [_ansi(line, width) for line in shown]

    def _known(self) -> Diagnosis | None:
        rows = [row for row in self._shelf.rows() if row.read and not row.error]
        return self._shelf.opened(rows[0].number) if rows else None


def _ansi(line: Text, width: int) -> str:
    """A line with its colours, where the user wants any."""
    console = Console(stderr=True, force_terminal=True, width=width, highlight=False)
    with console.capture() as written:
        console.print(line, end="", no_wrap=True, overflow="crop")
    return written.get()
