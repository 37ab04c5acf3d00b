"""Runs whose driver was killed: they end with it, and what is left of them is ended on resuming.

Every process of a run carries the run's folder in its environment, so that it is found whatever it
started and whoever its parent is now.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

MARK = "UNSTUCK_TRIAL_RUN"
GRACE = 5.0  # seconds between being asked to end and being killed
POLL = 0.02
SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h


def marked(folder: Path) -> dict[str, str]:
    """What the environment of the run in `folder` holds."""
    return {MARK: str(folder.resolve())}


def end_processes_of(folder: Path) -> int:
    """End every process of an earlier run in `folder`, and return how many when they are gone."""
    found = _processes_of(folder)
    for number, wait in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        for pid in _processes_of(folder):
            _send(pid, number)
        deadline = time.monotonic() + wait
        while _processes_of(folder) and time.monotonic() < deadline:
            time.sleep(POLL)
    return len(found)


def dies_with_us() -> Callable[[], None] | None:
    """What a child of this process calls before it becomes its program, to end when we do.

    None where there is no such thing, or where forking with threads about would be unsafe.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return None
    control, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:
        control(SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed before we could ask
            os._exit(1)

    return tie


def _processes_of(folder: Path) -> list[int]:
    mark = f"{MARK}={folder.resolve()}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue  # it has ended, or is somebody else's
    return [pid for pid in found if pid != os.getpid()]


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
