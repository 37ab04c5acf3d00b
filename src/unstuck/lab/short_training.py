"""Short trainings for an experiment: some steps at a rate, on given batches, with given chances.

Nothing is put back here: whoever trains from one state again and again wraps each run in
`lab.untouched`.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unstuck.experiment import NotProbed
from unstuck.lab.subject import Subject

FRESH_RATE = 1e-3  # of Adam, where there is no optimizer (Kingma & Ba 2015, arXiv 1412.6980)
BLOWN_UP = 1e6  # times the loss at the start: no need to go on

NORMS = (nn.modules.batchnorm._BatchNorm,)


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of an optimizer's groups as they are, all of them to be multiplied by one factor.

    `scale`: the rate of the group with most parameters, by which the others are told. Where all
    rates are zero just now (the first step of a warm-up), the scale is what the schedule rises to.
    """

    now: float
    scale: float
    each: tuple[float, ...]
    planned: float  # the highest that a schedule is known to come to


def rates_of(optimizer: Optimizer) -> Rates:
    """NotProbed where its groups have no rate."""
    groups = optimizer.param_groups
    if not all("lr" in g for g in groups):
        raise NotProbed(f"{type(optimizer).__name__} keeps no learning rate (lr) in its groups")
    now = [float(g["lr"]) for g in groups]
    largest = max(range(len(groups)), key=lambda i: sum(p.numel() for p in groups[i]["params"]))
    each = now if now[largest] > 0 else [float(g.get("initial_lr", 0.0)) for g in groups]
    if not each[largest] > 0:
        each = [FRESH_RATE] * len(groups)
    schedule = (float(groups[largest].get(key, 0.0)) for key in ("initial_lr", "max_lr"))
    return Rates(now[largest], each[largest], tuple(each), max(now[largest], *schedule))


def set_rate(optimizer: Optimizer, rates: Rates, rate: float) -> None:
    """Multiply the rates of all groups so that the largest group's is `rate`."""
    for group, own in zip(optimizer.param_groups, rates.each, strict=True):
        value = own * (rate / rates.scale)
        old = group["lr"]
        group["lr"] = torch.full_like(old, value) if isinstance(old, Tensor) else value


def fresh_adam(subject: Subject, rate: float = FRESH_RATE) -> Optimizer:
    """NotProbed where nothing can be trained."""
    return torch.optim.Adam(trainable(subject), lr=rate)


def trainable(subject: Subject) -> list[nn.Parameter]:
    """NotProbed where no parameter asks for gradients."""
    found = [p for p in subject.parameters if p.requires_grad]
    if not found:
        raise NotProbed("no parameter of the model asks for gradients: there is nothing to train")
    return found


def seeded(seed: int) -> None:
    """The same chances again, wherever they are drawn."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def train_mode(model: nn.Module) -> None:
    """As in training. One that is in it already is left alone: parts may be frozen on purpose."""
    if not model.training:
        model.train()


def losses(
    loss: Callable[[Any], Tensor],
    optimizer: Optimizer,
    batches: Sequence[Any],
    seeds: Iterator[int],
) -> Iterator[float]:
    """Train without end; before each step the loss on its batch. Ends where it is not finite.

    The step is given a closure, which optimizers that look several times need.
    """
    first = math.nan
    number = 0
    while True:
        batch, seed = batches[number % len(batches)], next(seeds)
        seen: list[float] = []

        def closure(batch: Any = batch, seed: int = seed, seen: list[float] = seen) -> Tensor:
            optimizer.zero_grad()
            seeded(seed)
            value = loss(batch)
            value.backward()
            seen.append(float(value.detach()))
            return value

        with torch.enable_grad():
            optimizer.step(closure)  # type: ignore[arg-type]
        first = seen[0] if math.isnan(first) else first
        yield seen[0]
        if not math.isfinite(seen[0]) or abs(seen[0]) > BLOWN_UP * max(abs(first), 1.0):
            return
        number += 1


def same_seed(seed: int) -> Iterator[int]:
    """Chances that are frozen: the same noise at every step."""
    while True:
        yield seed


def following(seed: int) -> Iterator[int]:
    """New chances at every step, the same ones in every run."""
    while True:
        yield seed
        seed += 1


def measured(loss: Callable[[Any], Tensor], batches: Sequence[Any], seed: int) -> float:
    """Mean loss over batches, each with its own chances; infinite where it is not finite."""
    total = 0.0
    for number, batch in enumerate(batches):
        seeded(seed + number)
        total += float(loss(batch).detach())
    return total / len(batches) if math.isfinite(total) else math.inf


def checked_loss(subject: Subject, batch: Any) -> float:
    """The loss at the start. NotProbed where it is not finite or cannot be trained on."""
    seeded(0)
    value = subject.value(batch)
    if not math.isfinite(float(value.detach())):
        raise NotProbed(f"the loss is {float(value.detach())} before the first step")
    if value.grad_fn is None:
        raise NotProbed("the loss has no gradient: its graph was cut between model and loss")
    return float(value.detach())


class Clock:
    """Time that is left of what was given."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self.end - time.monotonic()

    @property
    def over(self) -> bool:
        return self.left <= 0
