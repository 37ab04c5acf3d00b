"""The thread that keeps a shelf up to date, at low priority and only while somebody looks."""

import contextlib
import os
import threading
import time

from unstuck.live.shelf import Shelf

PAUSE = 0.5  # seconds between looks for something to do
UNSEEN = 60.0  # seconds after which nobody is looking any more
NICENESS = 5  # the training comes first, and yet a busy machine shows something


class Reader(threading.Thread):
    """Reads what has changed while it is wanted; `wanted()` is called whenever somebody looks."""

    def __init__(self, shelf: Shelf, *, unseen: float = UNSEEN) -> None:
        super().__init__(name="unstuck-reader", daemon=True)
        self._shelf = shelf
        self._unseen = unseen
        self._last = time.monotonic()
        self._awake = threading.Event()
        self._stopping = False

    def wanted(self) -> None:
        self._last = time.monotonic()
        self._awake.set()

    def stop(self, patience: float = 10.0) -> None:
        """End soon; waits for what is being read, but no longer than `patience` seconds."""
        self._stopping = True
        self._awake.set()
        if self.is_alive():
            self.join(patience)

    def run(self) -> None:
        lower_priority()
        while not self._stopping:
            if time.monotonic() - self._last > self._unseen:
                self._awake.clear()
                self._awake.wait()
                continue
            began, busy = time.thread_time(), False
            with contextlib.suppress(OSError):  # a folder that is being removed
                busy = self._shelf.look()
            spent = time.thread_time() - began
            self._pause(spent if busy else PAUSE)  # at most half a core, whatever there is to do

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


def lower_priority() -> None:
    """This thread alone, where the system can do that."""
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
