"""Live changes of a watched run: the weight of a loss term, the learning rate of an optimizer.

A change is named after the series it moves and holds an absolute value, or a multiple as text:
`{"weight/g_loss/l1": 10.0, "lr/optimizer": "x0.3"}`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from unstuck.records import Scalar


@dataclass(frozen=True, slots=True)
class Change:
    """A new value, or a multiple of the present one."""

    value: float
    multiple: bool

    def of(self, present: float) -> float:
        return present * self.value if self.multiple else self.value


def parsed(changes: Mapping[str, Scalar]) -> dict[str, Change]:
    """Changes by the series they move; ValueError with one clear line for a malformed one."""
    found = {}
    for name, value in changes.items():
        if not re.fullmatch(r"weight/[^/]+/[^/]+|lr/[^/]+", name):
            raise ValueError(
                f"cannot change {name!r} in a live run: give weight/<loss>/<term> or lr/<optimizer>"
            )
        text = str(value)
        multiple = text.startswith("x")
        try:
            number = float(text.removeprefix("x"))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{name} = {value!r}: give a number, or a multiple such as 'x0.1'")
        found[name] = Change(number, multiple)
    return found
