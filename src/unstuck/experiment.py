"""The shape of a probe: an experiment on a live model that yields facts and restores everything."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unstuck.records import Diagnosis, Floats, Scalar

Facts = Mapping[str, Scalar]


class NotProbed(ValueError):  # noqa: N818 - no failure: the reason why there is nothing to tell
    """A probe cannot look here; the message says why, and what would let it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """y over x, with a span that is shaded and places on the x axis that are named."""

    title: str
    x: Floats
    y: Floats
    x_label: str
    y_label: str
    log_x: bool = False
    span: tuple[float, float] | None = None
    marks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A number for each cell (rows, columns) of a canvas; `cell` is a cell's size in pixels."""

    title: str
    values: Floats
    unit: str
    cell: int = 1


@dataclass(frozen=True, slots=True)
class Bars:
    """One bar a row: label -> part -> length. Parts are stacked, or drawn beside each other."""

    title: str
    rows: Mapping[str, Mapping[str, float]]
    unit: str
    stacked: bool = False
    limit: float | None = None  # drawn as a line, such as the memory there is
    log: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A table: what the numbers prove, row by row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]


Picture = Curve | HeatMap | Bars | Listing


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an experiment.

    `facts` have names of the glossary; detectors read them. `said`: what a person would want to
    know, in whole sentences with their numbers. `pictures` are drawn by the report.
    """

    facts: Facts
    said: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """A function `(Subject, *, seconds) -> Result` and its name tag.

    `facts`: patterns of the facts it yields. `cheap`: part of the preflight. It may change the
    model, the optimizer and the random state at will: whoever calls it puts everything back
    (`lab.untouched`). `seconds` is the time it should keep to; a shorter experiment says so.
    Raises NotProbed where it has nothing to experiment on.
    """

    facts: tuple[str, ...]
    function: Callable[..., Result]
    cheap: bool = False

    @property
    def name(self) -> str:
        return self.function.__name__.replace("_", "-")

    @property
    def page(self) -> str:
        """The docstring of the probe's file, which is also its page in the docs."""
        return sys.modules[self.function.__module__].__doc__ or ""

    def __call__(self, subject: Any, *, seconds: float = float("inf")) -> Result:
        return self.function(subject, seconds=seconds)


def probe(*facts: str, cheap: bool = False) -> Callable[[Callable[..., Result]], Probe]:
    """Tag a function as a probe that yields facts matching these patterns."""
    return lambda function: Probe(facts, function, cheap)


@dataclass(frozen=True, slots=True)
class Examination:
    """What the probes found: their results by name, what was not probed and why, the diagnosis.

    `seconds`: what each probe took, also those that are left out.
    """

    results: Mapping[str, Result]
    left_out: Mapping[str, str]
    seconds: Mapping[str, float]
    diagnosis: Diagnosis

    @property
    def facts(self) -> dict[str, Scalar]:
        """All facts of all probes."""
        return dict(self.diagnosis.run.facts)
