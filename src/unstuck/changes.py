"""Live changes: what can be altered in a watched run without touching its script, and how to ask.

A change is `<kind>/<what it acts on>` with a value: a number, a multiple of the present value as
text (`"x0.1"`), or a word. `{"lr/optimizer": "x0.3", "clip/optimizer": 1.0}`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from unstuck.kinds_of_change import KINDS as KINDS
from unstuck.kinds_of_change import MULTIPLE, number
from unstuck.kinds_of_change import Kind as Kind
from unstuck.records import Scalar

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
