"""The shape of a detector: a pure function from Run to findings, plus its name tag."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from unstuck.records import Finding, Run

BY_STEP = "readings by step, not by epoch"
Body = Callable[[Run], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Detector:
    """A pure function `Run -> findings` and what must be there for it to look.

    `needs`: patterns of series, each of which must match one; `needs_facts`: the same for facts.
    `sharpened_by`: patterns of series, facts or settings; where none is there, a finding can be an
    info at most. `or_facts`: patterns of facts (a probe's) that are enough without `needs`.
    `by_step`: means of whole epochs tell it nothing.
    `explains`: codes that are only symptoms where this one is found.
    """

    code: str
    needs: tuple[str, ...]
    function: Body
    needs_facts: tuple[str, ...] = ()
    sharpened_by: tuple[str, ...] = ()
    by_step: bool = False
    explains: tuple[str, ...] = ()
    reads_nan: bool = False  # most detectors must keep quiet about NaN: it has its own code
    or_facts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.function.__name__.replace("_", "-")

    @property
    def page(self) -> str:
        """The docstring of the detector's file, which is also its page in the docs."""
        return sys.modules[self.function.__module__].__doc__ or ""

    def missing(self, run: Run) -> tuple[str, ...]:
        """The patterns this run has no series or fact for."""
        if self.or_facts and all(run.facts_matching(p) for p in self.or_facts):
            return ()
        series = tuple(p for p in self.needs if not run.matching(p))
        facts = tuple(p for p in self.needs_facts if not run.facts_matching(p))
        epochs = self.by_step and run.facts.get("step/unit") == "epoch"
        return series + facts + ((BY_STEP,) if epochs else ())

    def wanting(self, run: Run) -> tuple[str, ...]:
        """What would make a finding a sure one, where the run has none of it."""
        known = (*run.series, *run.facts, *(key.lower() for key in run.recipe))
        there = any(fnmatchcase(name, p) for p in self.sharpened_by for name in known)
        return () if there else self.sharpened_by

    def __call__(self, run: Run) -> list[Finding]:
        return list(self.function(run))


def detector(
    code: str,
    *,
    needs: tuple[str, ...] = (),
    needs_facts: tuple[str, ...] = (),
    sharpened_by: tuple[str, ...] = (),
    by_step: bool = False,
    explains: tuple[str, ...] = (),
    reads_nan: bool = False,
    or_facts: tuple[str, ...] = (),
) -> Callable[[Body], Detector]:
    """Tag a function as a detector. Nothing is registered: unstuck.catalog finds it."""
    return lambda function: Detector(
        code, needs, function, needs_facts, sharpened_by, by_step, explains, reads_nan, or_facts
    )
