"""What the probe `accumulation-equality` found in the training's own way to accumulate."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unstuck.records import Evidence, Op, Run, Series


@dataclass(frozen=True, slots=True)
class Accumulation:
    """Of one model: the fault's name, and the facts beside it as numbers."""

    run: Run
    model: str
    cause: str

    def number(self, fact: str) -> float:
        """A fact as a number; NaN where it is absent or none."""
        value = self.run.facts.get(self._name(fact))
        return float(value) if isinstance(value, int | float) else float("nan")

    def evidence(self, fact: str, op: Op, limit: float) -> Evidence:
        """On a fact: what the code does it does from the first step on."""
        series = Series(self._name(fact), np.array([0]), np.array([self.number(fact)]))
        return Evidence(series, op, limit, (0, 0))

    def _name(self, fact: str) -> str:
        return f"accumulation/{self.model}/{fact}"


def accumulations(run: Run) -> Iterator[Accumulation]:
    """Of each model whose own accumulation was looked at."""
    for told in run.facts_matching("accumulation/*/told"):
        model = told.removeprefix("accumulation/").removesuffix("/told")
        yield Accumulation(run, model, str(run.facts.get(f"accumulation/{model}/cause", "")))
