"""Calls of torch's functions heard of while somebody listens, or altered while somebody alters.

In between they are torch's own. Who listens hears of the call as it was altered.
"""

import functools
import importlib
import sys
from collections.abc import Callable, Iterable
from functools import cache
from types import ModuleType
from typing import Any

import torch

from unstuck.watcher.naming import is_library

Heard = Callable[[str, tuple[Any, ...], Any, Any], None]  # name, args, options, result
# torch's own, what makes the call, args, options of the call -> result
Altering = Callable[[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class Functions:
    """Wraps functions while somebody wants to hear of them or alters them."""

    def __init__(self, mine: Callable[[], bool]) -> None:
        self._mine = mine  # whether the calling thread is the one that is watched
        self._listeners: dict[str, dict[str, Heard]] = {}  # function -> who -> callback
        self._altering: dict[str, dict[str, Altering]] = {}  # the first one is outermost
        self._asked: dict[str, tuple[str, ...]] = {}  # who -> functions
        self._wrappers: dict[str, tuple[Any, Any]] = {}  # function -> original, its wrapper
        self._own: dict[str, bool] = {}  # wrapped functions -> defined where they are looked up
        self._inside = False  # one of them runs: what it calls is not the user's call
        self._importers: list[dict[str, Any]] = []
        self._modules_seen = 0

    def listen(self, who: str, names: Iterable[str], heard: Heard) -> None:
        """Call `heard` after each call of these functions, from now on."""
        self._ask(who, names, self._listeners, heard)

    def alter(self, who: str, names: Iterable[str], altering: Altering) -> None:
        """Let `altering` make each call of these functions, from now on."""
        self._ask(who, names, self._altering, altering)

    def stop(self, who: str) -> None:
        """No more for this listener or alterer; what nobody asks for is put back."""
        replaced: dict[int, Any] = {}
        for name in self._asked.pop(who, ()):
            heard, altered = self._listeners.get(name, {}), self._altering.get(name, {})
            heard.pop(who, None)
            altered.pop(who, None)
            if not heard and not altered and name in self._own:
                self._unwrap(name, replaced)
        self._replace(replaced)

    def _ask(self, who: str, names: Iterable[str], of: dict[str, Any], call: Any) -> None:
        if who in self._asked:
            return
        self._asked[who] = tuple(names)
        replaced: dict[int, Any] = {}
        for name in self._asked[who]:
            of.setdefault(name, {})[who] = call
            if name not in self._own:
                self._wrap(name, replaced)
        self._replace(replaced)

    def _wrap(self, name: str, replaced: dict[int, Any]) -> None:
        owner, last = _owner(name)
        original = getattr(owner, last, None)
        if original is None:
            return
        if name not in self._wrappers or self._wrappers[name][0] is not original:
            self._wrappers[name] = original, self._hearing(name, original)
        wrapper = self._wrappers[name][1]
        self._own[name] = last in vars(owner)
        setattr(owner, last, wrapper)
        if isinstance(owner, ModuleType):
            replaced[id(original)] = wrapper

    def _unwrap(self, name: str, replaced: dict[int, Any]) -> None:
        original, wrapper = self._wrappers[name]
        owner, last = _owner(name)
        own = self._own.pop(name)
        if vars(owner).get(last) is wrapper:  # else somebody else has wrapped it since
            if own:
                setattr(owner, last, original)
            else:
                delattr(owner, last)
        if isinstance(owner, ModuleType):
            replaced[id(wrapper)] = original

    def _replace(self, replaced: dict[int, Any]) -> None:
        """Also in the user's modules that imported a function by its name: id of old -> new."""
        if not replaced:
            return
        if len(sys.modules) != self._modules_seen:
            self._modules_seen = len(sys.modules)
            self._importers = [vars(m) for m in list(sys.modules.values()) if _is_users(m)]
        for held in self._importers:
            for key in [k for k, value in list(held.items()) if id(value) in replaced]:
                held[key] = replaced[id(held[key])]

    def _hearing(self, name: str, original: Any) -> Any:
        @functools.wraps(original)
        def function(*args: Any, **options: Any) -> Any:
            if self._inside or torch.compiler.is_compiling() or not self._mine():
                return original(*args, **options)
            self._inside = True
            try:
                make: Callable[..., Any] = functools.partial(self._make, name, original)
                for altering in reversed(list(self._altering.get(name, {}).values())):
                    make = functools.partial(_altered, altering, original, make)
                return make(*args, **options)
            finally:
                self._inside = False

        return function

    def _make(self, name: str, original: Any, /, *args: Any, **options: Any) -> Any:
        result = original(*args, **options)
        for who, heard in list(self._listeners.get(name, {}).items()):
            self._tell(who, heard, (name, args, options, result))
        return result

    def _tell(self, who: str, heard: Heard, call: tuple[str, Any, Any, Any]) -> None:
        try:
            heard(*call)
        except Exception as error:  # whatever it is, the script's own call went well
            self.stop(who)
            print(f"unstuck: gave up hearing of {call[0]} ({error})", file=sys.stderr)


def _altered(
    altering: Altering, original: Any, make: Callable[..., Any], /, *args: Any, **options: Any
) -> Any:
    return altering(original, make, args, options)


@cache
def _owner(name: str) -> tuple[Any, str]:
    path, last = name.rsplit(".", 1)
    try:
        return importlib.import_module(path), last
    except ModuleNotFoundError:
        module, kind = path.rsplit(".", 1)
        return getattr(importlib.import_module(module), kind), last


def _is_users(module: Any) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(module, ModuleType) and isinstance(file, str) and not is_library(file)
