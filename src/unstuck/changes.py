"""Live changes: what can be altered in a watched run without touching its script, and how to ask.

A change is `<kind>/<what it acts on>` with a value: a number, a multiple of the present value as
text (`"x0.1"`), or a word. `{"lr/optimizer": "x0.3", "clip/optimizer": 1.0}`.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unstuck.kinds_of_change import KINDS as KINDS
from unstuck.kinds_of_change import MULTIPLE, number
from unstuck.kinds_of_change import Kind as Kind
from unstuck.records import Run, Scalar

UNMET = "not carried out: "  # a run whose error begins so says nothing about the change
_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Change:
    """A new value, a multiple of the present one, or a word."""

    kind: str
    where: str
    value: float = math.nan
    multiple: bool = False
    word: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.where}"

    def of(self, present: float) -> float:
        return present * self.value if self.multiple else self.value


def parsed(changes: Mapping[str, Scalar]) -> dict[str, Change]:
    """Changes by name; ValueError with one clear line for a malformed one.

    >>> parsed({"lr/adam": "x0.1"})["lr/adam"].of(0.5)
    0.05
    """
    return {name: _parsed(name, value) for name, value in changes.items()}


def fact_of(name: str) -> str:
    """The fact that a watched run gets when a change has acted for the first time."""
    return f"changed/{name}"


def refusal_of(name: str) -> str:
    """The fact that it gets, with the reason, when a change cannot be carried out in it."""
    return f"refused/{name}"


def unmet(changes: Iterable[str], runs: Sequence[Run]) -> str:
    """What is wrong where a live change was not carried out in a recorded run; else nothing.

    >>> unmet(["weight/loss/l1"], [Run.of(term__loss__l2=[1.0])])
    'not carried out: no weight/loss/l1 in the run (it has: weight/loss/l2)'
    """
    facts = {name: value for run in runs for name, value in run.facts.items()}
    for change in changes:
        if "exit/watcher" in facts:
            return f"{UNMET}{change} to the end ({facts['exit/watcher']})"
        if refusal_of(change) in facts:
            return f"{UNMET}{change}: {facts[refusal_of(change)]}"
        if fact_of(change) not in facts:
            seen = {name for run in runs for name in run.series}
            there = sorted(_places(change.split("/")[0], seen, facts))[:5]
            return f"{UNMET}no {change} in the run (it has: {', '.join(there) or '-'})"
    return ""


def _parsed(name: str, value: Scalar) -> Change:
    kind_name, _, where = name.partition("/")
    kind = _BY_NAME.get(kind_name)
    if kind is None or not re.fullmatch(kind.pattern, where):
        near = f"give {kind.name}/{kind.where}" if kind else f"there are: {', '.join(_BY_NAME)}"
        raise ValueError(f"cannot change {name!r} in a live run: {near}")
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and number(text) == number(text):  # a number from a command line
        text = number(text)
    problem = kind.problem(text)
    if problem:
        raise ValueError(f"{name} = {value!r}: {problem}")
    if isinstance(text, str) and not MULTIPLE.fullmatch(text):
        return Change(kind_name, where, word=text)
    multiple = isinstance(text, str)
    return Change(kind_name, where, number(str(text).removeprefix("x")), multiple)


def _places(kind: str, series: Iterable[str], facts: Iterable[str]) -> list[str]:
    """What the run has that a change of this kind could act on."""
    where = next((known.where for known in KINDS if known.name == kind), "")
    if where == "<loss>/<term>":
        return [f"{kind}/{name.split('/', 1)[1]}" for name in series if name.startswith("term/")]
    what = "optimizer" if where == "<optimizer>" else "parameters"
    if not where.startswith(("<optimizer>", "<model>", "<discriminator>")):
        return []
    return [f"{kind}/{name.split('/')[1]}" for name in facts if name.startswith(f"{what}/")]
