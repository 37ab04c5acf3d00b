"""OPT002 learning-rate-too-low: steps so short that the loss creeps at one pace all the way.

## Why is this bad?
Where the loss falls along a straight line, each step gains in proportion to its length: with steps
ten times as long the run would be where it ends in a tenth of the time.

## How it is detected
`loss/<name>` falls surely in both halves of its steps (interval of the robust trend), in the second
by at least `STEADY` of what it fell by in the first, and more than `LEFT` of its start is left. It
lasts `FOR_STEPS` steps or more.

A log alone cannot tell a rate that is too low from a run that was stopped early: an *info*. Where
`update_ratio/<optimizer>` is known, its median in either half must be below `TINY`: steps move the
weights by less than that share of themselves. That makes it a *warning*.

The probe `learning-rate-range` tells at the start (an optimizer that has made no more than ten
steps): the rate, also the highest that a schedule is known to come to, is more than 150 times below
the lowest that makes half of the best progress in ten steps, and no recorded loss has fallen.

## Example
>>> from unstuck import Run
>>> def run(ratio=None, end=2.1, bend=0.0, steps=260):
...     line = [2.3 + (end - 2.3) * t / steps for t in range(steps)]
...     bow = [-4 * bend * t / steps * (1 - t / steps) for t in range(steps)]
...     loss = [a + b + 0.002 * (t * t % 7 - 3) for t, (a, b) in enumerate(zip(line, bow))]
...     more = {} if ratio is None else {"update_ratio__adam": [ratio] * steps}
...     return Run.of(loss__train=loss, **more)
>>> [(f.message, f.severity) for f in learning_rate_too_low(run(7e-5))]
[('steps of adam are 7e-05 of its weights: loss/train crept from 2.3 to 2.11', 'warning')]
>>> [(f.message, f.severity) for f in learning_rate_too_low(run())]
[('loss/train crept from 2.3 to 2.11 in 259 steps: stopped early, or too slow', 'info')]
>>> [f.severity for r in (run(end=1.9), run(end=2.0, bend=0.035)) for f in learning_rate_too_low(r)]
['info', 'info']


The probe's facts alone:

>>> from unstuck import diagnose
>>> def probed(now, steps=0, planned=0.0, **more):
...     facts = {"now": now, "low": 0.004, "high": 0.1, "steps": steps, "planned": planned}
...     run = Run.of(facts={f"rate/net/{name}": v for name, v in facts.items()}, **more)
...     return [(f.message, f.severity) for f in diagnose(run).findings if f.code == "OPT002"]
>>> probed(1e-5)
[('rate of net is 1e-05: 400 times below the lowest that makes good progress (0.004)', 'warning')]

## Look-alikes
Steps of the usual size, a loss that bends, one that has fallen far, one that is flat, and a short
run:

>>> learning_rate_too_low(run(1.2e-4)) + learning_rate_too_low(run(7e-5, bend=0.035))
[]
>>> learning_rate_too_low(run(7e-5, end=1.7)) + learning_rate_too_low(run(7e-5, end=2.3))
[]
>>> learning_rate_too_low(run(7e-5, steps=150))
[]

A rate that is a hundred times below what ten steps could use, the end of a schedule, the start of a
warm-up, and a loss that falls:

>>> probed(4e-5) + probed(1e-7, steps=900) + probed(1e-6, planned=1e-3)
[]
>>> probed(1e-6, lr__adam=[1e-6, 1e-3]) + probed(1e-5, loss__train=[2.3, 2.1, 2.0, 1.9])
[]

## What to try
`raise-learning-rate`

## References
- Smith, Cyclical Learning Rates for Training Neural Networks (range test), 2017,
  <https://arxiv.org/abs/1506.01186>
- You et al., Large Batch Training of Convolutional Networks (the ratio of update and weight
  norms), 2017, <https://arxiv.org/abs/1708.03888>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import end_level, last_median, median, start_level
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import between, finite, from_step, length
from unstuck.signals.trends import trend
from unstuck.signals.usable_rates import too_low

TINY = 9e-5  # update over weight norm; too slow up to 6.2e-5, slow but healthy 1.4e-4 (LOG.md)
STEADY = 0.55  # of the first half's fall; runs at one pace 0.67 up, ones that bend 0.2 (LOG.md)
LEFT = 0.8  # of the start; too slow 0.84 up, stopped early up to 0.7 (LOG.md)
FOR_STEPS = 200  # a healthy run may begin with as many steps at one pace


@detector(
    "OPT002",
    needs=("loss/*",),
    sharpened_by=("update_ratio/*",),
    by_step=True,
    or_facts=("rate/*/now", "rate/*/low"),
    explains=("GEN002", "OPT004"),
)
def learning_rate_too_low(run: Run) -> Iterator[Finding]:
    seen = list(_creeping(run))
    yield from seen
    for placed in () if any(f.severity == "warning" for f in seen) else too_low(run):
        yield Finding(
            "OPT002",
            where=placed.model,
            message=(
                f"rate of {shown(placed.model, 24)} is {placed.now:.2g}: {placed.factor:.3g} times "
                f"below the lowest that makes good progress ({placed.border:.2g})"
            ),
            evidence=(placed.evidence,),
        )


def _creeping(run: Run) -> Iterator[Finding]:
    for series in lone_losses(run):
        if length(series) < FOR_STEPS or (end := _creeps(series)) is None:
            continue
        ratios = [_by_half(s) for s in run.matching("update_ratio/*") if s.name.count("/") == 1]
        if any(float(r.value.max(initial=0.0)) >= TINY for r in ratios):
            continue
        pace = f"{shown(series.name, 24)} crept from {start_level(series):.3g} to {end:.3g}"
        known = [r for r in ratios if len(r)]
        if not known:
            long = f" in {length(series)} steps: stopped early, or too slow"
            yield Finding("OPT002", series.name, pace + long, (_level(series),), "info")
            continue
        ratio = max(known, key=lambda r: float(r.value[-1]))
        optimizer = where_of(ratio.name)
        span = int(ratio.step[0]), int(ratio.step[-1])
        yield Finding(
            "OPT002",
            where=optimizer,
            message=(
                f"steps of {shown(optimizer, 24)} are {ratio.value[-1]:.1g} of its weights: {pace}"
            ),
            evidence=(Evidence(ratio, "<", TINY, span), _level(series)),
        )


def _by_half(series: Series) -> Series:
    """The medians of both halves, at the first and the last step; empty for a few readings."""
    clean = finite(series)
    if len(clean) < 4:
        return between(clean, 0, -1)
    middle = int(clean.step[0]) + length(clean) // 2
    halves = [median(between(clean, None, middle)), median(from_step(clean, middle))]
    return Series(clean.name, clean.step[[0, -1]], np.array(halves))


def _creeps(series: Series) -> float | None:
    """The end of a loss that falls surely and at one pace, with most of it left."""
    clean = finite(series)
    start, end = start_level(clean), end_level(clean)
    middle = int(clean.step[0]) + length(clean) // 2 if len(clean) else 0
    first, second = trend(between(clean, None, middle)), trend(from_step(clean, middle))
    if first is None or second is None or not (start > end > LEFT * start):
        return None
    steady = first.falls and second.falls and second.change < STEADY * first.change
    return end if steady else None


def _level(series: Series) -> Evidence:
    """Most of the loss is still there at its end."""
    last = int(series.step[-1])
    return Evidence(last_median(series), ">", LEFT * start_level(series), (last, last))
