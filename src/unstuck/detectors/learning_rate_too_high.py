"""OPT001 learning-rate-too-high: steps so large that each undoes what the last one learned.

## Why is this bad?
The loss jumps about, climbs or stays at the level of a constant answer; units die on the way.

## How it is detected
Two things together. At some time before the loss peaks, `update_ratio/<optimizer>` is above
`TOO_FAR` (median of three readings, the first step left out): steps move the weights by more than
that share of themselves. And it did not pay: the peak of the loss is above `WORSE` times its first
value, and so is the geometric mean of this peak and the loss's end (a loss that is not finite at
the end counts as infinite).

## Example
>>> from unstuck import Run
>>> def run(ratio, end=2.4, since=0):
...     bouncing = [2.3] * 13 + [5.2, 5.0, 3.6] * 3 + [5.2] + [end] * 77
...     return Run.of(loss__train=bouncing,
...                   update_ratio__adam=[0.4] + [0.01] * since + [ratio] * (99 - since))
>>> [finding.message for finding in learning_rate_too_high(run(0.08))]
['steps of adam move its weights by 8% at step 2: loss/train rose from 2.3 to 5.2, ends at 2.4']

## Look-alikes
Large steps that overshoot and then pay, steps of the usual size, steps that are large only after
the loss had risen, and large first steps that never overshoot (weights that start at zero):

>>> learning_rate_too_high(run(0.08, end=1.0))
[]
>>> learning_rate_too_high(run(0.045))
[]
>>> learning_rate_too_high(run(0.08, since=40))
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
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import finite

# 5 models x 2 optimizers x 6 rates x 2 batch sizes (LOG.md): runs that learned had early ratios up
# to 0.2 but came out below 0.95 of the first loss, runs that collapsed above 0.06 and above 1.3.
TOO_FAR = 0.06  # update over weight norm
WORSE = 1.2  # times the first value of the loss


@detector(
    "OPT001",
    needs=("loss/*", "update_ratio/*"),
    explains=("NUM001", "OPT003", "OPT004", "ACT001", "GRD001", "COL004", "LOS002"),
)
def learning_rate_too_high(run: Run) -> Iterator[Finding]:
    losses = [s for s in lone_losses(run) if _cost(s)]
    if not losses:
        return
    series = max(losses, key=lambda s: float(s.value[0]))
    for ratio in run.matching("update_ratio/*"):
        stride = _stride(ratio, until=_peak(series)[0])
        if ratio.name.count("/") > 1 or stride is None:
            continue
        optimizer, step = ratio.name.split("/", 1)[1], int(stride.step[0])
        yield Finding(
            "OPT001",
            where=optimizer,
            message=(
                f"steps of {shown(optimizer, 14)} move its weights by {stride.value[0]:.0%} at "
                f"step {step}: {shown(series.name, 16)} rose from {series.value[0]:.2g} to "
                f"{_peak(series)[1]:.2g}, ends at {_end(series):.2g}"
            ),
            evidence=(Evidence(stride, ">", TOO_FAR, (step, step)), *_cost(series)),
            severity="error",
        )


def _stride(ratio: Series, until: int) -> Series | None:
    """The first median of three readings above the limit that begins between step 1 and `until`."""
    clean = finite(ratio)
    if len(clean) < 4:
        return None
    medians = np.median(np.lib.stride_tricks.sliding_window_view(clean.value[1:], 3), axis=1)
    far = (medians > TOO_FAR) & (clean.step[1:-2] <= until)
    if not far.any():
        return None
    at = int(far.argmax())
    return Series(f"{ratio.name} (median of 3)", clean.step[at + 2 : at + 3], medians[at : at + 1])


def _peak(series: Series) -> tuple[int, float]:
    """Step and value of the third largest finite reading: one bad batch is no peak."""
    clean = finite(series)
    if len(clean) < 3:
        return 0, math.nan
    third = np.argpartition(clean.value, -3)[-3]
    return int(clean.step[third]), float(clean.value[third])


def _end(series: Series) -> float:
    return end_level(series) if np.isfinite(series.value[-1]) else math.inf


def _cost(series: Series) -> tuple[Evidence, ...]:
    """Evidence that a loss rose and ended no better; empty where it did not."""
    first = float(series.value[0]) if len(series) else math.nan
    at, peak = _peak(series)
    end = _end(series) if len(series) else math.nan
    limit = WORSE * first * (WORSE * first / peak) if peak > 0 else math.inf
    if not (first > 0 and peak > WORSE * first and end > limit):
        return ()
    rose = Evidence(series, ">", WORSE * first, (at, at))
    last = int(series.step[-1])
    if not math.isfinite(end):
        return rose, Evidence(series, "not finite", 0.0, (last, last))
    level = Series(f"{series.name} (last median)", np.array([last]), np.array([end]))
    return rose, Evidence(level, ">", limit, (last, last))
