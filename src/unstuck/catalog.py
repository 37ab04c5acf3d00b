"""Finds everything that plugs in. Adding a file to a plural folder is all it takes."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TypeVar

from unstuck import detectors as detector_folder
from unstuck import probes as probe_folder
from unstuck import remedies as remedy_folder
from unstuck import sources as source_folder
from unstuck.detector import Detector
from unstuck.experiment import Probe
from unstuck.remedy import Remedy
from unstuck.source import Source

T = TypeVar("T")


def _one_per_file(folder: ModuleType, kind: type[T]) -> list[T]:
    found: list[T] = []
    for module in iter_modules(folder.__path__, f"{folder.__name__}."):
        tagged = [v for v in vars(import_module(module.name)).values() if isinstance(v, kind)]
        if len(tagged) != 1:
            raise ImportError(
                f"{module.name} must define exactly one {kind.__name__}, found {len(tagged)}"
            )
        found += tagged
    return found


@cache
def detectors() -> tuple[Detector, ...]:
    """All detectors, one per file of unstuck/detectors, ordered by code."""
    return tuple(sorted(_one_per_file(detector_folder, Detector), key=lambda d: d.code))


@cache
def remedies() -> tuple[Remedy, ...]:
    """All remedies, one per file of unstuck/remedies, ordered by name."""
    return tuple(sorted(_one_per_file(remedy_folder, Remedy), key=lambda r: r.name))


@cache
def sources() -> tuple[Source, ...]:
    """All log readers, one per file of unstuck/sources, in the order in which they are asked."""
    return tuple(sorted(_one_per_file(source_folder, Source), key=lambda s: (s.rank, s.name)))


@cache
def probes() -> tuple[Probe, ...]:
    """All probes, one per file of unstuck/probes, ordered by name; imports torch."""
    return tuple(sorted(_one_per_file(probe_folder, Probe), key=lambda p: p.name))
