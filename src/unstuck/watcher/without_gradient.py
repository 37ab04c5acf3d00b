"""Stretches of the user's own code that run without gradients: where a model is evaluated."""

import functools
import os
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import torch

from unstuck.lab.untouched import under_way
from unstuck.watcher.naming import is_library

SWITCHES: tuple[Any, ...] = (torch.no_grad, torch.inference_mode, torch.set_grad_enabled)
MOST_SITES = 1000
OFTEN = 0.12  # of the steps: what runs without gradients so often is a part of training
FEW_STEPS = 12  # until so many have gone by nothing is known to run often

Site = tuple[CodeType, int]


class WithoutGradient:
    """Tells when the user's code turns gradients off and on again, from `start` to `stop`."""

    def __init__(
        self, step: Callable[[], int], began: Callable[[], None], ended: Callable[[], None]
    ) -> None:
        self._step = step
        self._began, self._ended = began, ended
        self._sites: dict[Site, list[int]] = {}  # -> how many steps it ran in, the last of them
        self._open: Any = None
        self._originals: list[tuple[Any, Any, Any]] = []
        self._place = (0, 0)

    def start(self) -> None:
        self._place = os.getpid(), threading.get_ident()
        for kind in SWITCHES:
            self._originals.append((kind, kind.__enter__, kind.__exit__))
            kind.__enter__ = self._entering(kind.__enter__)
            kind.__exit__ = self._leaving(kind.__exit__)

    def stop(self) -> None:
        for kind, enter, leave in self._originals:
            kind.__enter__, kind.__exit__ = enter, leave
        self._originals, self._open = [], None

    def _entering(self, original: Any) -> Any:
        @functools.wraps(original)
        def enter(switch: Any) -> Any:
            result = original(switch)
            if self._open is None and not torch.is_grad_enabled() and not under_way():
                self._look(switch, sys._getframe(1))
            return result

        return enter

    def _leaving(self, original: Any) -> Any:
        @functools.wraps(original)
        def leave(switch: Any, *error: Any) -> Any:
            if self._open is switch:
                self._open = None
                self._ended()
            return original(switch, *error)

        return leave

    def _look(self, switch: Any, frame: FrameType) -> None:
        site = _users_site(frame)
        here = os.getpid(), threading.get_ident()
        if site is not None and here == self._place and not self._often(site):
            self._open = switch
            self._began()

    def _often(self, site: Site) -> bool:
        step = self._step()
        if len(self._sites) >= MOST_SITES:
            self._sites.clear()
        seen = self._sites.setdefault(site, [0, -1])
        if seen[1] != step:
            seen[0], seen[1] = seen[0] + 1, step
        return step >= FEW_STEPS and seen[0] > OFTEN * (step + 1)


def _users_site(frame: FrameType) -> Site | None:
    """Where the user's code turns gradients off; None for a library that does so for itself."""
    code = frame.f_code
    if code.co_name == "decorate_context":  # `@torch.no_grad()`: what is decorated counts
        code = getattr(frame.f_locals.get("func"), "__code__", code)
        return None if is_library(code.co_filename) else (code, 0)
    return None if is_library(code.co_filename) else (code, frame.f_lasti)
