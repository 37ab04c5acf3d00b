"""An optimizer found by name before its first step, which is when the watcher names it."""

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, cast

from torch.optim import Optimizer

from unstuck.watcher.naming import is_plumbing

ByName = Callable[[], dict[str, Optimizer]]
MOST_TRIES = 1000  # backward passes at which it is looked for


class FirstSight:
    """One optimizer: among those that have stepped, those heard of, or a variable of that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._found: Optimizer | None = None
        self._stepped = False
        self._tries = 0

    def __call__(self, stepped: ByName, idle: ByName) -> Optimizer | None:
        """What is known of it now. Call it below the script's own frame."""
        if not self._stepped and self.name in (seen := stepped()):
            self._found, self._stepped = seen[self.name], True
        if self._found is None and self._tries < MOST_TRIES:
            self._tries += 1
            self._found = idle().get(self.name) or _variable(self.name)
        return self._found


def _variable(name: str) -> Optimizer | None:
    """A variable of the calling functions, an entry of a dict or an attribute in one of them."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if not is_plumbing(frame.f_code.co_filename):
            local = frame.f_locals
            tables = [local, frame.f_globals, *(_entries(value) for value in local.values())]
            held = [table.get(name) for table in tables]
            for value in held:
                if issubclass(type(value), Optimizer):
                    return cast(Optimizer, value)
        frame = frame.f_back
    return None


def _entries(value: object) -> Mapping[str, Any]:
    """What a dict holds, or an object's attributes; no code of theirs is run."""
    if type(value) is dict:
        return value
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return attributes if type(attributes) is dict else {}
