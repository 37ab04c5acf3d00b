"""Live changes of a watched run: the weight of a loss term, the learning rate of an optimizer.

A change is named after the series it moves and holds an absolute value, or a multiple as text:
`{"weight/g_loss/l1": 10.0, "lr/optimizer": "x0.3"}`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from unstuck.records import Scalar
from unstuck.watcher.terms import Terms, derivatives


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


def reweighted(root: Tensor, terms: Terms, weights: Mapping[str, Change]) -> Tensor:
    """`root` plus (w' - w) x term for each changed term; `root` may be the loss scaled."""
    if not weights.keys() & terms.terms.keys():
        return root
    scale = (
        torch.ones_like(root)
        if root.grad_fn is terms.loss.grad_fn
        else derivatives(root, [terms.loss])[0]
    )
    for name in weights.keys() & terms.terms.keys():
        change, present = weights[name], terms.weights[name]
        wanted = (
            present * change.value if change.multiple else torch.full_like(present, change.value)
        )
        extra = (wanted - present).detach() * scale.detach() * terms.terms[name]
        root = root + extra.reshape(root.shape).to(root.dtype)
    return root


def set_learning_rates(optimizer: Optimizer, change: Change) -> list[float | Tensor]:
    """Set every group's learning rate; returns the rates to put back after the step."""
    before = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        present = group["lr"]
        group["lr"] = (
            torch.full_like(present, change.of(float(present)))
            if isinstance(present, Tensor)
            else change.of(present)
        )
    return before
