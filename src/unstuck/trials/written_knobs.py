"""A knob as it is written on a command line: `lr/optimizer=x0.01:x10`, `lr=1e-4:1e-1`,
`schedule/optimizer=constant,cosine:500`, `batch_size=16:128`.
"""

import math
import re

from unstuck.changes import KINDS, parsed
from unstuck.records import Recipe, Scalar
from unstuck.trials.knobs import Knob
from unstuck.trials.plan import PlanError

NUMBER = r"x?[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"({NUMBER}):({NUMBER})")
DECADE = 10.0  # a range this wide or wider is searched by its orders of magnitude
WHOLE = {kind.name for kind in KINDS if kind.whole}


def read_knob(text: str, recipe: Recipe) -> Knob:
    """A knob on a live change, or (without a slash) on a field of the script's own `recipe`.

    Raises PlanError with one clear line.

    >>> read_knob("clip/adam=0.1:10", {}) == Knob("clip/adam", 0.1, 10.0, log=True)
    True
    """
    name, equals, values = text.partition("=")
    name, values = name.strip().removeprefix("--"), values.strip()
    if not (equals and name and values):
        raise PlanError(f"{text!r}: give NAME=LOW:HIGH or NAME=VALUE,VALUE: lr/optimizer=x0.01:x10")
    if "/" not in name and name not in recipe:
        known = ", ".join(recipe) or "none that is known"
        raise PlanError(f"the script has no flag for {name!r} (it has: {known})")
    between = RANGE.fullmatch(values)
    knob = _range(name, between[1], between[2], recipe) if between else _choices(name, values)
    for value in knob.choices or (knob.value(knob.low), knob.value(knob.high)):
        _check(name, value)
    return knob


def _range(name: str, first: str, last: str, recipe: Recipe) -> Knob:
    multiple = first.startswith("x")
    if multiple != last.startswith("x"):
        raise PlanError(f"{name}={first}:{last}: both ends are multiples (x0.1:x10), or neither is")
    if multiple and "/" not in name:
        raise PlanError(f"{name} is the script's own flag: give its values, not multiples of them")
    low, high = float(first.removeprefix("x")), float(last.removeprefix("x"))
    if not low < high < math.inf:
        raise PlanError(f"{name}={first}:{last}: the first end must be the lower one")
    whole = name.split("/")[0] in WHOLE if "/" in name else type(recipe[name]) is int
    if whole and (low % 1 or high % 1):
        raise PlanError(f"{name} takes whole numbers, not {first}:{last}")
    log = low > 0 and high / low >= DECADE
    return Knob(name, low, high, whole=whole, log=log, multiple=multiple)


def _choices(name: str, values: str) -> Knob:
    choices = tuple(dict.fromkeys(_plain(v.strip()) for v in values.split(",")))
    if len(choices) < 2:
        raise PlanError(f"{name}={values}: give a range LOW:HIGH, or at least two values")
    return Knob(name, choices=choices)


def _plain(text: str) -> Scalar:
    """A choice as the number it is, where it is one: a flag takes 16 and "16" alike."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text) if math.isfinite(float(text)) else text
    except ValueError:
        return text


def _check(name: str, value: Scalar) -> None:
    if "/" not in name:
        return
    try:
        parsed({name: value})
    except ValueError as error:
        raise PlanError(str(error)) from None
