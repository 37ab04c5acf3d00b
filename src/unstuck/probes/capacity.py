"""capacity: how the model does beside a much smaller and a larger plain network on the same data.

## Why
A count of parameters says nothing: networks with a thousand parameters a sample generalise well.
Whether a model is too large or too small for its data shows only beside others, on samples that
none of them has seen.

## How it is measured
The model goes on training from its present state, with its own optimizer, rate and regularisation;
a linear map and a plain network of two hidden layers of 256 units are trained from the beginning by
Adam, through the same loss on the same batches, `STEPS` steps each. Told is the mean loss on the
training batches and on `held_out` at the end. Up to `BATCHES` batches are used; `complete` tells
whether that was all there is: on a part of the data every model looks larger than it is.

The model's input and output must be one tensor each, of as many samples; pictures are averaged to
at most 32 x 32 pixels for the two plain networks.

## Facts
- `capacity/<model>/train`, `/unseen`: the model's loss at the end
- `capacity/<model>/smaller_train`, `/smaller_unseen`, `/larger_train`, `/larger_unseen`
- `capacity/<model>/parameters`, `/smaller_parameters`, `/larger_parameters`
- `capacity/<model>/chance`: the loss of the best constant answer on held-out samples
- `capacity/<model>/samples`: of the training batches; `/complete`: whether these are all
- `capacity/<model>/falling`: share of its training loss that the model's last third took off

## Example
Forty samples of a noisy line, and a network that learns the noise by heart:

>>> import torch
>>> from unstuck.lab.subject import Subject
>>> _ = torch.manual_seed(0)
>>> x = torch.randn(400, 4)
>>> y = x.sum(1, keepdim=True) + 2 * torch.randn(400, 1)
>>> wide = torch.nn.Sequential(torch.nn.Linear(4, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1))
>>> optimizer = torch.optim.Adam(wide.parameters(), lr=1e-2)
>>> few, others = (x[:40], y[:40]), [(x[40:], y[40:])]
>>> mse = torch.nn.functional.mse_loss
>>> facts = capacity(Subject(wide, few, mse, optimizer, held_out=others)).facts
>>> facts["capacity/model/unseen"] > 1.5 * facts["capacity/model/smaller_unseen"]
True

## References
- Zhang et al., Understanding Deep Learning Requires Rethinking Generalization, 2017,
  <https://arxiv.org/abs/1611.03530>
- Nakkiran et al., Deep Double Descent, 2020, <https://arxiv.org/abs/1912.02292>
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from unstuck.experiment import Bars, NotProbed, Result, probe
from unstuck.lab import batch as batches_of
from unstuck.lab.loss_floor import floor_of
from unstuck.lab.references import references, stand_in
from unstuck.lab.short_training import (
    Clock,
    checked_loss,
    following,
    fresh_adam,
    losses,
    measured,
    train_mode,
    trainable,
)
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched
from unstuck.records import Scalar

STEPS = 500
BATCHES = 64
HELD_OUT = 16  # batches
RATE = 3e-3  # of Adam, for the plain networks
LONGEST = 120.0  # seconds, where no limit is given


@dataclass(frozen=True, slots=True)
class Trained:
    train: float
    unseen: float
    parameters: int
    falling: float
    steps: int


@probe("capacity/*/*")
def capacity(subject: Subject, *, seconds: float = math.inf) -> Result:
    parameters = trainable(subject)
    train_mode(subject.model)
    clock = Clock(min(seconds, LONGEST))
    unseen = [batches_of.moved(b, subject.device) for b in islice(subject.held_out, HELD_OUT)]
    if not unseen:
        raise NotProbed("capacity needs samples the model is not trained on: give held_out batches")
    checked_loss(subject, subject.batch)
    batches = subject.more(BATCHES)
    small, large = references(subject, subject.batch)
    optimizer = subject.optimizer or fresh_adam(subject)
    each = clock.left / 3
    with untouched((subject.model, *subject.others), subject.optimizer):
        own = _trained(subject, optimizer, batches, unseen, each, _count(parameters))
    others = []
    for reference in (small, large):
        with untouched((subject.model, *subject.others)):
            stand_in(subject.model, reference)
            adam = torch.optim.Adam(reference.parameters(), lr=RATE)
            count = _count(reference.parameters())
            others.append(_trained(subject, adam, batches, unseen, each, count))
    if not all(math.isfinite(t.train) for t in (own, *others)):
        raise NotProbed("the loss blew up within the experiment: look at the rate first")
    chance = floor_of(subject, unseen[0]).constant
    complete = len(batches) < BATCHES or not _further(subject, batches)
    return _told(subject, (own, *others), sum(map(batches_of.size, batches)), complete, chance)


def _trained(
    subject: Subject,
    optimizer: Optimizer,
    batches: Sequence[Any],
    unseen: Sequence[Any],
    seconds: float,
    parameters: int,
) -> Trained:
    clock, seen = Clock(seconds), []
    for loss in losses(subject.value, optimizer, batches, following(1)):
        seen.append(loss)
        if len(seen) > STEPS or clock.over:
            break
    third = max(len(seen) // 3, 1)
    late, middle = _mean(seen[-third:]), _mean(seen[-2 * third : -third] or seen)
    with torch.no_grad(), subject.evaluating():
        return Trained(
            measured(subject.value, batches, seed=0),
            measured(subject.value, unseen, seed=0),
            parameters,
            1 - late / middle if middle > 0 else 0.0,
            len(seen) - 1,
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters)


def _further(subject: Subject, batches: Sequence[Any]) -> bool:
    """Whether the training data hold more than these, of which the first is not among them."""
    return next(islice(subject.batches, len(batches) - 1, None), None) is not None


def _told(
    subject: Subject,
    all_of: Sequence[Trained],
    samples: int,
    complete: bool,
    chance: float | None,
) -> Result:
    own, small, large = all_of
    facts: dict[str, Scalar] = {"samples": samples, "complete": complete, "falling": own.falling}
    if chance is not None:
        facts["chance"] = chance
    for trained, which in ((own, ""), (small, "smaller_"), (large, "larger_")):
        facts |= {
            f"{which}train": trained.train,
            f"{which}unseen": trained.unseen,
            f"{which}parameters": trained.parameters,
        }
    rows = {
        f"{name} ({t.parameters} parameters)": {"training": t.train, "unseen": t.unseen}
        for name, t in (("the model", own), ("linear", small), ("two hidden layers", large))
    }
    part = "" if complete else " (a part of all)"
    pairs = [f"{t.train:.3g} and {t.unseen:.3g}" for t in all_of]
    said = [
        f"After {own.steps} steps on {samples} samples{part} the model's loss on these and on "
        f"others is {pairs[0]}; that of a linear map {pairs[1]}, of a plain network {pairs[2]}."
    ]
    best = min((own, small, large), key=lambda t: t.unseen)
    if best is own:
        said.append("The model does best on what none has seen.")
    return Result(
        {f"capacity/{subject.name}/{name}": value for name, value in facts.items()},
        tuple(said),
        (Bars("loss beside plain networks", rows, unit="loss"),),
    )
