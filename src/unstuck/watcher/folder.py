"""A folder is the list: the classes of one shape in its files."""

import pkgutil
from importlib import import_module
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def classes_in(package: ModuleType, shape: type[T]) -> list[type[T]]:
    """Every subclass of `shape` that is written in a file of the package, in the files' order."""
    found: list[type[T]] = []
    for module in pkgutil.iter_modules(package.__path__):
        held = vars(import_module(f"{package.__name__}.{module.name}"))
        found += [
            kind
            for kind in held.values()
            if isinstance(kind, type)
            and issubclass(kind, shape)
            and kind.__module__.endswith(f".{module.name}")
        ]
    return found
