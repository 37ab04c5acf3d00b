"""learning-rate-range: which learning rates lower the loss from here, and where the present one is.

## Why
A rate ten times too high throws away what was learned, one a hundred times too low learns nothing
in the time there is. Which rates these are depends on model, data, optimizer and state.

## How it is measured
From the present state of model and optimizer, `STEPS` steps are made at each of many rates, always
on the same batches with the same random numbers, then the loss on those batches is read and all is
put back. A single run through rising rates would measure its own path instead: what the low rates
had learned, and what the high ones broke. Rates a decade apart find the region, rates `FINE` to a
decade its borders. *best* lowers the loss most; *low* is the lowest that lowers it half as much;
*high* is where next to nothing is left of it (`EDGE` of the best), because steps overshoot. With
three batches or more this is done `SETS` times, in another order and with other chances; the
values are medians, the spread is the largest over the smallest. All groups of the optimizer are
scaled together; told is the rate of the largest one. Without an optimizer, Adam is taken.

Ten steps see what is gained in ten steps: over thousands, rates a few times below `low` may do as
well (Wu et al. 2018). A limit on the gradient's norm that the loop applies is not seen here.

## Facts
- `rate/<model>/now`: the present rate (0 at the start of some warm-ups)
- `rate/<model>/planned`: the highest that its schedule is known to come to, where that is more
- `rate/<model>/low`, `/best`, `/high`: rates, of the largest group
- `rate/<model>/low_spread`, `/high_spread`: largest over smallest of the repetitions
- `rate/<model>/progress`: what the best rate takes off the loss in these steps, as a share of it
- `rate/<model>/loss`: the loss before
- `rate/<model>/steps`: steps that the optimizer has made so far, where it counts them

## Example
A parabola of curvature 4: gradient descent is stable below 2/4.

>>> import torch
>>> from unstuck.lab.subject import Subject
>>> model = torch.nn.Linear(1, 1, bias=False)
>>> parabola = lambda model, batch: 2 * (model.weight - 3).square().sum()
>>> optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
>>> result = learning_rate_range(Subject(model, torch.zeros(1, 1), parabola, optimizer))
>>> round(result.facts["rate/model/high"], 1)
0.5
>>> print(result.said[1][:67])
The present rate, 10, is 20 times above the highest that lowers the

## References
- Smith, Cyclical Learning Rates for Training Neural Networks, 2017,
  <https://arxiv.org/abs/1506.01186>
- Wu et al., Understanding Short-Horizon Bias in Stochastic Meta-Optimization, 2018,
  <https://arxiv.org/abs/1803.02021>
"""

import math

import numpy as np
from torch.optim import Optimizer

from unstuck.experiment import Curve, NotProbed, Result, probe
from unstuck.lab.age import steps_made
from unstuck.lab.rate_sweep import STEPS, Borders, Sweep, borders, grid_in, region
from unstuck.lab.short_training import (
    Clock,
    checked_loss,
    fresh_adam,
    rates_of,
    train_mode,
    trainable,
)
from unstuck.lab.subject import Subject
from unstuck.records import Scalar

BATCHES = 4
LONGEST = 120.0  # seconds, where no limit is given


@probe("rate/*/*", cheap=True)
def learning_rate_range(subject: Subject, *, seconds: float = math.inf) -> Result:
    trainable(subject)
    train_mode(subject.model)
    clock = Clock(min(seconds, LONGEST))
    own = subject.optimizer
    optimizer = fresh_adam(subject) if own is None else own
    rates = rates_of(optimizer)
    checked_loss(subject, subject.batch)
    sweep = Sweep(subject, optimizer, rates, subject.more(BATCHES))
    if not math.isfinite(sweep.start):
        raise NotProbed("the loss is not finite on the further batches")
    facts = _known_before(subject, own, sweep)
    found_in, gain = region(sweep, clock)
    if found_in is None:
        facts[f"rate/{subject.name}/progress"] = gain / abs(sweep.start) if sweep.start else 0.0
        return Result(facts, (_nothing_gained(sweep),))
    grid, sets = grid_in(found_in, sweep, clock)
    found = [borders(sweep, number, grid, clock) for number in range(sets)]
    low, best, high = (float(np.median([f[i] for f in found])) for i in range(3))
    facts |= {
        f"rate/{subject.name}/low": low,
        f"rate/{subject.name}/best": best,
        f"rate/{subject.name}/high": high,
        f"rate/{subject.name}/progress": sweep.best / abs(sweep.start),
    }
    if sets > 1:
        for place, name in ((0, "low_spread"), (2, "high_spread")):
            values = [f[place] for f in found]
            facts[f"rate/{subject.name}/{name}"] = max(values) / min(values)
    curve = _curve(sweep, grid, sets, (low, high), {"best": best, "now": rates.now})
    said = _said(subject, sweep, (low, best, high), found, cut=clock.over)
    return Result(facts, said, (curve,))


def _known_before(subject: Subject, own: Optimizer | None, sweep: Sweep) -> dict[str, Scalar]:
    facts: dict[str, Scalar] = {f"rate/{subject.name}/loss": sweep.start}
    if own is None:
        return facts
    facts[f"rate/{subject.name}/now"] = sweep.rates.now
    if sweep.rates.planned > sweep.rates.now:
        facts[f"rate/{subject.name}/planned"] = sweep.rates.planned
    steps = steps_made(own)
    if steps is not None:
        facts[f"rate/{subject.name}/steps"] = steps
    return facts


def _curve(
    sweep: Sweep,
    grid: list[float],
    sets: int,
    span: tuple[float, float],
    marks: dict[str, float],
) -> Curve:
    gains = [float(np.median([sweep.progress(n, r) for n in range(sets)])) for r in grid]
    floor = -max(gains)  # what rose by more than the best fell is cut off
    return Curve(
        f"loss after {STEPS} steps",
        x=np.array(grid),
        y=np.array([sweep.start - max(g, floor) for g in gains]),
        x_label="learning rate",
        y_label=f"loss (cut off above {sweep.start - floor:.3g})",
        log_x=True,
        span=span,
        marks={name: rate for name, rate in marks.items() if rate > 0},
    )


def _nothing_gained(sweep: Sweep) -> str:
    tried = sorted({rate for _, rate in sweep.known})
    return (
        f"No rate from {tried[0]:.1g} to {tried[-1]:.1g} lowers the loss ({sweep.start:.4g}) in "
        f"{STEPS} steps: it is at a minimum for these batches, or something blocks the gradient."
    )


def _said(
    subject: Subject,
    sweep: Sweep,
    rates: Borders,
    found: list[Borders],
    *,
    cut: bool,
) -> tuple[str, ...]:
    low, best, high = rates
    gain = sweep.best
    sure = (
        f" ({len(found)} repetitions: {min(f[0] for f in found):.2g} to "
        f"{max(f[0] for f in found):.2g}, and {min(f[2] for f in found):.2g} to "
        f"{max(f[2] for f in found):.2g})"
        if len(found) > 1
        else " (from one repetition, so without an interval)"
    )
    kind = type(sweep.optimizer).__name__
    said = [
        f"{kind} lowers the loss at rates from {low:.2g} to {high:.2g}{sure}; at {best:.2g} most, "
        f"from {sweep.start:.3g} by {gain:.2g} in {STEPS} steps."
    ]
    now = sweep.rates.now
    if subject.optimizer is None:
        said.append("No optimizer was given: these are the rates of a fresh Adam.")
    elif now == 0:
        said.append("The present rate is 0, as at the start of a warm-up.")
    elif now > high:
        said.append(
            f"The present rate, {now:.2g}, is {now / high:.2g} times above the highest that lowers "
            "the loss (without a limit on the gradient)."
        )
    elif now < low:
        said.append(
            f"The present rate, {now:.2g}, is {low / now:.2g} times below the lowest that makes "
            "half of the best progress in so few steps; over many a few times below is usual."
        )
    else:
        said.append(f"The present rate, {now:.2g}, lies between them.")
    if gain > abs(sweep.start):
        said.append(
            "The loss goes below zero; if it has no lower bound, `low` and `best` mean little."
        )
    if cut:
        said.append("The time was too short for all rates: the borders are coarse.")
    return tuple(said)
