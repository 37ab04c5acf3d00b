"""Processes that a watched script spawns with torch.multiprocessing are watched if they train.

They are asked through their environment as the script itself was, and wait until they have joined
a process group: only then they know their rank, and a process that never joins one is no rank.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unstuck.reading.database import opened
from unstuck.source import UnreadableRunError
from unstuck.sources.unstuck_run import FILE
from unstuck.watcher.launch import injection


def follow_spawned(asked: str, give_way: Callable[[], bool]) -> None:
    """Hand the request on to processes spawned from now on, if `give_way` leaves them the run."""
    spawning = sys.modules.get("torch.multiprocessing.spawn")
    package = sys.modules.get("torch.multiprocessing")
    if spawning is None or package is None:
        return
    original = spawning.start_processes

    def start_processes(*args: Any, **options: Any) -> Any:
        if not give_way():
            return original(*args, **options)
        kept = dict(os.environ)
        os.environ.update(injection(asked))
        try:
            return original(*args, **options)
        finally:
            _restore(kept)

    for holder in (spawning, package):
        if vars(holder).get("start_processes") is original:
            setattr(holder, "start_processes", start_processes)  # noqa: B010


def _restore(kept: dict[str, str]) -> None:
    for name in injection(""):
        os.environ.pop(name, None)
        if name in kept:
            os.environ[name] = kept[name]


def when_joined(start: Callable[[], None]) -> None:
    """Call `start` once this process has joined a process group."""
    from torch import distributed

    if not distributed.is_available():
        return
    names = ("torch.distributed", "torch.distributed.distributed_c10d")
    holders = [
        sys.modules[n] for n in (*names, "torch.distributed.device_mesh") if n in sys.modules
    ]
    original = distributed.init_process_group

    def init_process_group(*args: Any, **options: Any) -> Any:
        _replace(holders, init_process_group, original)
        result = original(*args, **options)
        start()
        return result

    _replace(holders, original, init_process_group)


def _replace(holders: list[Any], old: Any, new: Any) -> None:
    for holder in holders:
        if vars(holder).get("init_process_group") is old:
            holder.init_process_group = new


def is_untouched(directory: Path) -> bool:
    """Whether a run directory that is being written holds no reading yet."""
    try:
        with opened(directory / FILE) as connection:
            return connection.execute("SELECT 1 FROM series LIMIT 1").fetchone() is None
    except UnreadableRunError:
        return False


def discard(directory: Path) -> None:
    """Remove the empty record of a process that trains nothing itself."""
    for end in ("", "-wal", "-shm"):
        (directory / f"{FILE}{end}").unlink(missing_ok=True)
