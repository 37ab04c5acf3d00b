"""Batches of any torch DataLoader, heard of by whoever asks; in between torch's own.

One wrapper serves all that listen, and is gone with the last of them.
"""

import time
from collections.abc import Callable
from typing import Any

from torch.utils.data import dataloader

Heard = Callable[[Any, float, bool], None]  # iterator, seconds it took, whether none was left

_listeners: list[Heard] = []
_original: Any = None


def listen(heard: Heard) -> Callable[[], None]:
    """Call `heard` after each batch of any DataLoader; the value ends that."""
    kind: Any = getattr(dataloader, "_BaseDataLoaderIter", None)
    if kind is None:
        return lambda: None
    if not _listeners:
        _wrap(kind)
    _listeners.append(heard)

    def stop() -> None:
        if heard in _listeners:
            _listeners.remove(heard)
            if not _listeners and kind.__next__ is _next:
                kind.__next__ = _original

    return stop


def _wrap(kind: Any) -> None:
    global _original
    if kind.__next__ is not _next:  # else somebody has wrapped it since, and calls ours
        _original = kind.__next__
        kind.__next__ = _next


def _next(loader: Any) -> Any:
    began = time.perf_counter()
    try:
        batch = _original(loader)
    except StopIteration:
        _tell(loader, time.perf_counter() - began, ended=True)
        raise
    _tell(loader, time.perf_counter() - began, ended=False)
    return batch


def _tell(loader: Any, seconds: float, *, ended: bool) -> None:
    for heard in tuple(_listeners):
        heard(loader, seconds, ended)
