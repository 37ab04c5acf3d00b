"""overfit-one-batch: whether the model learns a handful of samples by heart, and what keeps it.

## Why
A sound model, loss and optimizer bring the loss on a few samples to its floor within some hundred
steps. If they do not, no data and no patience will help: something between input and loss is in the
way. If they do, look at data, schedule and generalisation.

## How it is measured
Up to `HANDFUL` samples of the batch, without regularisation: evaluation mode (no dropout), but
batch norms normalise by the batch at hand and recurrent layers train without dropout; weight decay
0; noise that the loss draws is the same at every step. Where a model has its loss in training mode
only, it stays there with its dropout layers off. First the user's optimizer, its state cleared, at
its present rate for `STEPS` steps; if that does not do, a tenth and ten times the rate, and Adam
at two rates, so that "cannot" is not "wrong rate"; at last the best of these `LONG` times as long.

Near zero means: less than `NEAR` of the way to the floor is left. The floor is the loss of
predictions that nothing restricts, found by replacing the model's output by free numbers, equal
ones for equal inputs: the entropy of soft targets, log 2 for one input with two labels, 0 for a
regression. The way begins at the loss of the best constant prediction, or at the present loss if
that is larger. Where the model gives several outputs, the floor is taken as 0 and `floor` is not
told.

Where it fails, what blocks it is looked for: a cut graph, frozen parameters, parameters without
gradient, an output that is the same for all samples (and the layer that made it so), targets beyond
the output's bounds, an output that lies at its bounds.

## Facts
- `overfit/<model>/first`, `/last`, `/floor`: the loss before, after, and at best
- `overfit/<model>/share`: what is left of the way to the floor
- `overfit/<model>/own_share`: the same with the user's optimizer and rate
- `overfit/<model>/reached`: whether less than `NEAR` is left; not told where the time was too short
- `overfit/<model>/steps`, `/samples`, `/rate`, `/optimizer`: of the attempt that did it or came
  farthest
- `overfit/<model>/falling`: share of what was left that its last third took off
- `overfit/<model>/blocked`: what is in the way, where something was found

## Example
Eight points, and the same ones where the graph was cut:

>>> import torch
>>> from unstuck.lab.subject import Subject
>>> _ = torch.manual_seed(0)
>>> model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
>>> batch = torch.randn(8, 4), torch.randn(8, 1)
>>> optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
>>> subject = Subject(model, batch, torch.nn.functional.mse_loss, optimizer)
>>> overfit_one_batch(subject).facts["overfit/model/reached"]
True
>>> cut = lambda out, y: torch.nn.functional.mse_loss(out.detach(), y)
>>> overfit_one_batch(Subject(model, batch, cut, optimizer)).facts["overfit/model/blocked"]
'detached graph'

## References
- Goodfellow, Bengio & Courville, Deep Learning, 2016, section 11.5,
  <https://www.deeplearningbook.org>
- Zhang et al., Understanding Deep Learning Requires Rethinking Generalization, 2017,
  <https://arxiv.org/abs/1611.03530>
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.optim import Optimizer

from unstuck.experiment import Curve, NotProbed, Result, probe
from unstuck.lab import batch as batches_of
from unstuck.lab.blockers import Blocker, blockers
from unstuck.lab.loss_floor import Floor, floor_of
from unstuck.lab.plain_mode import CANNOT, without_decay, without_regularisation
from unstuck.lab.short_training import (
    Clock,
    fresh_adam,
    losses,
    rates_of,
    same_seed,
    seeded,
    set_rate,
    trainable,
)
from unstuck.lab.subject import Subject
from unstuck.lab.untouched import untouched
from unstuck.records import Scalar

HANDFUL = 16
STEPS = 150
LONG = 6  # times the steps, for the best of the attempts
NEAR = 0.05  # of the way to the floor
PARTLY = 0.3  # of the way to the floor
DONE = 0.01  # of the way to the floor: no need to go on
FACTORS = (1.0, 0.1, 10.0)  # of the user's own rate
ADAM = (1e-3, 1e-2)  # rates: the default one and the largest that small networks bear
HOPELESS = 50  # steps after which less than this is gained:
STUCK = 0.98  # of the way that was left
LONGEST = 120.0  # seconds, where no limit is given


@dataclass(frozen=True, slots=True)
class Attempt:
    """Losses of one attempt, before each step, and what was in the way at its end."""

    optimizer: str
    rate: float
    losses: list[float]
    found: tuple[Blocker, ...] = ()

    @property
    def last(self) -> float:
        """Infinite where the attempt blew up."""
        return self.losses[-1] if math.isfinite(self.losses[-1]) else math.inf

    @property
    def steps(self) -> int:
        return len(self.losses) - 1


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be learnt by heart, and how far that is."""

    subject: Subject
    batch: Any
    mode: str
    first: float
    floor: Floor

    @property
    def way(self) -> float:
        return max(self.first, self.floor.constant or self.first) - self.floor.value

    def left(self, loss: float) -> float:
        """Share of the way to the floor."""
        return max(loss - self.floor.value, 0.0) / self.way if self.way > 0 else 0.0


@probe("overfit/*/*", cheap=True)
def overfit_one_batch(subject: Subject, *, seconds: float = math.inf) -> Result:
    trainable(subject)
    clock = Clock(min(seconds, LONGEST))
    batch = _handful(subject)
    mode = without_regularisation(subject, batch)
    seeded(0)
    start = subject.value(batch)
    first = float(start.detach())
    if not math.isfinite(first):
        raise NotProbed(f"the loss is {first} before the first step")
    if start.grad_fn is None:
        return _cut(subject, batch, first)
    floor = floor_of(subject, batch)
    if not floor.known and first < 0:
        raise NotProbed(
            f"the loss is {first:.3g}, below zero, and its floor is not known: a model that gives "
            "one tensor and is called once would let it be found"
        )
    task = Task(subject, batch, mode, first, floor)
    tried = _attempts(task, clock)
    return _told(task, tried, cut=clock.over)


def _handful(subject: Subject) -> Any:
    """A few samples; the whole batch where the loss is there for the whole only."""
    few = batches_of.taken(subject.batch, slice(0, HANDFUL))
    try:
        with warnings.catch_warnings():  # such as one of shapes that do not fit
            warnings.simplefilter("error")
            subject.value(few)
    except (*CANNOT, Warning):
        return subject.batch
    return few


def _attempts(task: Task, clock: Clock) -> list[Attempt]:
    """The user's own optimizer and rate, then others, then the best of them for longer."""
    tried: list[Attempt] = []
    settings = list(_settings(task.subject))
    for optimizer, rate in settings:
        limit = clock.left / (4 if tried else 2)
        tried.append(_attempt(task, optimizer, rate, STEPS, limit))
        if task.left(tried[-1].last) < NEAR or clock.over:
            return tried
    best = min(range(len(tried)), key=lambda i: tried[i].last)
    tried.append(_attempt(task, *settings[best], LONG * STEPS, clock.left))
    return tried


def _settings(subject: Subject) -> Iterator[tuple[Optimizer | None, float]]:
    """Optimizers (None: a fresh Adam) and rates, the user's own first."""
    own = subject.optimizer
    kinds: list[float] = []
    if own is not None and all("lr" in g for g in own.param_groups):
        scale = rates_of(own).scale
        yield from ((own, scale * factor) for factor in FACTORS)
        if "adam" in type(own).__name__.lower():
            kinds = [scale * factor for factor in FACTORS]
    for rate in ADAM:
        if not any(0.5 < rate / kind < 2 for kind in kinds):
            yield None, rate


def _attempt(task: Task, own: Optimizer | None, rate: float, steps: int, seconds: float) -> Attempt:
    """From the state at the start, which it leaves again."""
    subject, seen = task.subject, []
    clock = Clock(seconds)
    with untouched((subject.model, *subject.others), own):
        optimizer = fresh_adam(subject, rate) if own is None else own
        if own is not None:
            own.state.clear()
            set_rate(own, rates_of(own), rate)
            without_decay(own)
        for loss in losses(lambda b: subject.value(b), optimizer, [task.batch], same_seed(0)):
            seen.append(loss)
            hopeless = len(seen) == HOPELESS and task.left(min(seen)) > STUCK * task.left(seen[0])
            if len(seen) > steps or hopeless or clock.over or task.left(loss) < DONE:
                break
        stuck = math.isfinite(seen[-1]) and task.left(seen[-1]) >= NEAR
        found = tuple(blockers(subject, task.batch)) if stuck else ()
    return Attempt(type(optimizer).__name__, rate, seen, found)


def _cut(subject: Subject, batch: Any, first: float) -> Result:
    (blocker,) = blockers(subject, batch)
    name = f"overfit/{subject.name}"
    facts: dict[str, Scalar] = {
        f"{name}/first": first,
        f"{name}/last": first,
        f"{name}/share": 1.0,
        f"{name}/reached": False,
        f"{name}/steps": 0,
        f"{name}/samples": batches_of.size(batch),
        f"{name}/blocked": blocker.kind,
    }
    return Result(facts, (f"Nothing can be learned. {blocker.said}",))


def _told(task: Task, tried: list[Attempt], *, cut: bool) -> Result:
    best = min(tried, key=lambda a: a.last)
    name = f"overfit/{task.subject.name}"
    share = task.left(best.last)
    late = best.losses[-1 - len(best.losses) // 3]
    facts: dict[str, Scalar] = {
        f"{name}/first": task.first,
        f"{name}/last": best.last,
        f"{name}/share": share,
        f"{name}/steps": best.steps,
        f"{name}/samples": batches_of.size(task.batch),
        f"{name}/rate": best.rate,
        f"{name}/optimizer": best.optimizer,
    }
    if share < NEAR or not cut:
        facts[f"{name}/reached"] = share < NEAR
        facts[f"{name}/falling"] = 1 - share / max(task.left(late), share, 1e-12)
    if task.floor.known:
        facts[f"{name}/floor"] = task.floor.value
    if task.subject.optimizer is not None:
        facts[f"{name}/own_share"] = task.left(tried[0].last)
    if best.found:
        facts[f"{name}/blocked"] = ", ".join(b.kind for b in best.found)
    curve = Curve(
        f"loss of {batches_of.size(task.batch)} samples learned by heart",
        x=np.arange(len(best.losses), dtype=float),
        y=np.array(best.losses),
        x_label="step",
        y_label=f"loss ({best.optimizer}, rate {best.rate:.2g})",
    )
    return Result(facts, tuple(_said(task, tried, best, cut=cut)), (curve,))


def _said(task: Task, tried: list[Attempt], best: Attempt, *, cut: bool) -> Iterator[str]:
    share, samples = task.left(best.last), batches_of.size(task.batch)
    high = task.floor.value > 1e-3 * task.way
    floor = f"its floor, {task.floor.value:.3g}" if high else "0"
    course = f"from {task.first:.3g} to {best.last:.3g} in {best.steps} steps"
    how = f"{best.optimizer} at a rate of {best.rate:.2g} ({task.mode})"
    if share < NEAR:
        yield f"{samples} samples are learned by heart: the loss falls {course} with {how}."
        if best is not tried[0] and task.subject.optimizer is not None:
            own = tried[0]
            yield (
                f"With {own.optimizer} at the present rate, {own.rate:.2g}, "
                f"{task.left(own.last):.0%} of the way to {floor} is left after {own.steps} steps."
            )
        return
    fully = "only partly" if share < PARTLY else "not"
    yield (
        f"{samples} samples are {fully} learned by heart: with the best of {len(tried)} attempts, "
        f"{how}, the loss goes {course}, and {share:.0%} of the way to {floor} is left."
    )
    yield from (blocker.said for blocker in best.found)
    if cut:
        yield "The time was too short: a longer experiment may come farther."
    elif not best.found:
        yield "Nothing blocks the gradient: the model is too small for them, or it learns slowly."
