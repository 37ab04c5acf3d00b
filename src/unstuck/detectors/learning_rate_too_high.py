"""OPT001 learning-rate-too-high: steps so large that each undoes what the last one learned.

## Why is this bad?
The loss jumps about, climbs or stays at the level of a constant answer; units die on the way.

## How it is detected
Two things together. Early on, `update_ratio/<optimizer>` is above `TOO_FAR`: each step moves the
weights by more than that share of themselves. And it did not pay: the early peak of the loss is
above `WORSE` times its first value, and so is the geometric mean of this peak and the loss's end
(a loss that is not finite at the end counts as infinite).

## Example
>>> from unstuck import Run
>>> def run(ratio, end=2.4, calm=13):
...     bouncing = [2.3] * calm + [5.2, 5.0, 3.6] * 3 + [5.2] + [end] * (100 - calm)
...     return Run.of(loss__train=bouncing, update_ratio__adam=[0.4] + [ratio] * 99)
>>> [finding.message for finding in learning_rate_too_high(run(0.08))]
['early steps of adam move its weights by 8%: loss/train rose from 2.3 to 5.2, ends at 2.4']

## Look-alikes
Large steps that overshoot and then pay, steps of the usual size, a loss that jumps late in the run,
and large first steps that never overshoot (weights that start at zero):

>>> learning_rate_too_high(run(0.08, end=1.0))
[]
>>> learning_rate_too_high(run(0.045))
[]
>>> learning_rate_too_high(run(0.08, calm=20))
[]
>>> slow = [2.3 - 0.001 * t for t in range(97)]
>>> learning_rate_too_high(Run.of(loss__train=slow, update_ratio__adam=[0.4] + [0.08] * 96))
[]

## What to try
`lower-learning-rate`, `clip-gradients`, `normalise-input`

## References
- You et al., Large Batch Training of Convolutional Networks (the ratio of update and weight
  norms), 2017, <https://arxiv.org/abs/1708.03888>
- Cohen et al., Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability,
  2021, <https://arxiv.org/abs/2103.00065>
"""

import math
from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import FIRST, end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import between, finite, length
from unstuck.signals.windows import in_windows

# 5 models x 2 optimizers x 6 rates x 2 batch sizes (LOG.md): runs that learned had early ratios up
# to 0.2 but came out below 0.95 of the first loss, runs that collapsed above 0.06 and above 1.3.
TOO_FAR = 0.06  # update over weight norm, median after the first step
WORSE = 1.2  # times the first value of the loss
PEAK_WITHIN = 0.2  # share of the run; every collapse of those runs peaked in its first tenth


@detector(
    "OPT001",
    needs=("loss/*", "update_ratio/*"),
    explains=("NUM001", "OPT003", "OPT004", "ACT001", "GRD001", "COL004", "LOS002"),
)
def learning_rate_too_high(run: Run) -> Iterator[Finding]:
    losses = [(s, cost) for s in lone_losses(run) if (cost := _cost(s))]
    if not losses:
        return
    series, evidence = max(losses, key=lambda pair: pair[0].value[0])
    for ratio in run.matching("update_ratio/*"):
        early = in_windows(_after_first(ratio), 1)
        if ratio.name.count("/") > 1 or not len(early) or early.value[0] <= TOO_FAR:
            continue
        optimizer = ratio.name.split("/", 1)[1]
        step = int(early.step[0])
        yield Finding(
            "OPT001",
            where=optimizer,
            message=(
                f"early steps of {shown(optimizer, 16)} move its weights by {early.value[0]:.0%}: "
                f"{shown(series.name, 20)} rose from {series.value[0]:.3g} to "
                f"{_peak(series):.3g}, ends at {_end(series):.3g}"
            ),
            evidence=(Evidence(early, ">", TOO_FAR, (step, step)), *evidence),
            severity="error",
        )


def _after_first(ratio: Series) -> Series:
    """The readings after the first step, whose size says more of the start than of the rate."""
    clean = finite(ratio)
    return Series(ratio.name, clean.step[1 : FIRST + 1], clean.value[1 : FIRST + 1])


def _peak(series: Series) -> float:
    """The third largest of the early finite readings: one bad batch is no peak."""
    until = int(series.step[0] + PEAK_WITHIN * length(series))
    early = finite(between(series, None, until)).value
    return float(np.sort(early)[-3]) if early.size > 2 else math.nan


def _end(series: Series) -> float:
    return end_level(series) if np.isfinite(series.value[-1]) else math.inf


def _cost(series: Series) -> tuple[Evidence, ...]:
    """Evidence that a loss rose early and ended no better; empty where it did not."""
    first = float(series.value[0]) if len(series) else math.nan
    if not first > 0:
        return ()
    peak, end = _peak(series), _end(series)
    if not (peak > WORSE * first and peak * end > (WORSE * first) ** 2):
        return ()
    at = int(series.step[np.flatnonzero(series.value == peak)[0]])
    rose = Evidence(series, ">", WORSE * first, (at, at))
    last = int(series.step[-1])
    if not math.isfinite(end):
        return rose, Evidence(series, "not finite", 0.0, (last, last))
    level = Series(f"{series.name} (last median)", np.array([last]), np.array([end]))
    return rose, Evidence(level, ">", (WORSE * first) ** 2 / peak, (last, last))
