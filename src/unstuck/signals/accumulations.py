"""What the probe `accumulation-equality` found in the training's own way to accumulate."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from unstuck.records import Evidence, Op, Run
from unstuck.signals.known import from_the_start, known


@dataclass(frozen=True, slots=True)
class Accumulation:
    """Of one model: the fault's name, and the facts beside it as numbers."""

    run: Run
    model: str
    cause: str

    def number(self, fact: str) -> float:
        """A fact as a number; NaN where it is absent or none."""
        return known(self.run, self._name(fact), math.nan)

    def evidence(self, fact: str, op: Op, limit: float) -> Evidence:
        """On a fact: what the code does it does from the first step on."""
        return from_the_start(self.run, self._name(fact), op, limit)

    def _name(self, fact: str) -> str:
        return f"accumulation/{self.model}/{fact}"


def accumulations(run: Run) -> Iterator[Accumulation]:
    """Of each model whose own accumulation was looked at."""
    for told in run.facts_matching("accumulation/*/told"):
        model = told.removeprefix("accumulation/").removesuffix("/told")
        yield Accumulation(run, model, str(run.facts.get(f"accumulation/{model}/cause", "")))
