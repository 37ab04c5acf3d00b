"""OPT001 learning-rate-too-high: steps so large that each undoes what the last one learned.

## Why is this bad?
The loss jumps about, climbs or stays at the level of a constant answer; units die on the way.

## How it is detected
Two things together. At some time before the loss peaks, `update_ratio/<optimizer>` is above
`TOO_FAR` (median of three readings, the first step left out): steps move the weights by more than
that share of themselves. And it did not pay: the peak of the loss is above `WORSE` times its first
value, and so is the geometric mean of this peak and the loss's end (a loss that is not finite at
the end counts as infinite).

Where a log has no `update_ratio`, only a burst is called by this name: within the first `EARLY` of
its readings the loss, the largest of the run, rises above `BURST` times its first value and its
end, and it ends above `NO_BETTER` times its first value. Milder ones stay `diverging-loss` or
`loss-plateau`.

## Example
>>> from unstuck import Run
>>> def run(ratio, end=2.4, since=0):
...     bouncing = [2.3] * 13 + [5.2, 5.0, 3.6] * 3 + [5.2] + [end] * 77
...     return Run.of(loss__train=bouncing,
...                   update_ratio__adam=[0.4] + [0.01] * since + [ratio] * (99 - since))
>>> [finding.message for finding in learning_rate_too_high(run(0.08))]
['steps of adam move its weights by 8% at step 2: loss/train rose from 2.3 to 5.2, ends at 2.4']


In a log, where the size of the steps is not known:

>>> def logged(peak, end=2.4, at=1, start=2.3):
...     burst = [start] * at + [peak, peak, 0.9 * peak, peak, 0.8 * peak, peak] + [3.0] * 10
...     return Run.of(loss__train=burst + [end] * 104)
>>> [finding.message for finding in learning_rate_too_high(logged(23.0))]
['loss/train rose from 2.3 to 23 by step 4 and ends at 2.4: the first steps threw it away']
>>> [bool(learning_rate_too_high(run)) for run in (logged(18), logged(23, 2.1), logged(23, at=6))]
[True, True, True]


The probe's facts, alone and beside a loss that has fallen or has not:

>>> from unstuck import diagnose
>>> def probed(now, steps=0, **more):
...     facts = {"now": now, "low": 0.002, "high": 0.04, "steps": steps}
...     run = Run.of(facts={f"rate/net/{name}": v for name, v in facts.items()}, **more)
...     return [(f.message, f.severity) for f in diagnose(run).findings if f.code == "OPT001"]
>>> probed(0.1)
[('rate of net is 0.1: 2.5 times the highest that lowers the loss (0.04)', 'warning')]
>>> [severity for _, severity in probed(0.1, loss__train=[2.3, 9.0, 4.0, 2.4, 2.4])]
['error']

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


In a log, a lesser burst, one that was made good, one that came later, and a part of a larger loss:

>>> learning_rate_too_high(logged(14.0)) + learning_rate_too_high(logged(23, end=1.7))
[]
>>> learning_rate_too_high(logged(23, at=14))
[]
>>> total = [30.0 + kl for kl in logged(0.9, 0.7, start=0.1).series["loss/train"].value]
>>> part = logged(0.9, 0.7, start=0.1).series["loss/train"].value
>>> learning_rate_too_high(Run.of(loss__kl=part, loss__total=total))
[]

A rate at the border, one that is high after some steps, and one at which the loss falls:

>>> probed(0.05) + probed(0.1, steps=500) + probed(0.1, loss__train=[2.3, 2.0, 1.5, 1.0])
[]

## What to try
`lower-learning-rate`, `clip-gradients`, `normalise-input`, `use-warmup`

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
from unstuck.signals.levels import end_level, last_median
from unstuck.signals.names import shown
from unstuck.signals.spans import finite
from unstuck.signals.usable_rates import too_high

# 5 models x 2 optimizers x 6 rates x 2 batch sizes (LOG.md): runs that learned had early ratios up
# to 0.2 but came out below 0.95 of the first loss, runs that collapsed above 0.06 and above 1.3.
TOO_FAR = 0.06  # update over weight norm
WORSE = 1.2  # times the first value of the loss
BURST = 7.0  # times first value and end; healthy losses up to 3.3, rates too high 11 up (LOG.md)
NO_BETTER = 0.9  # of the first value at the end; rates too high 0.98 up (LOG.md)
EARLY = (
    0.1  # share of the readings; rates too high peaked within 0.02, one bad batch later (LOG.md)
)


@detector(
    "OPT001",
    needs=("loss/*",),
    sharpened_by=("update_ratio/*",),
    by_step=True,
    or_facts=("rate/*/now", "rate/*/high"),
    explains=(
        "NUM001",
        "GEN002",
        "OPT003",
        "OPT004",
        "OPT005",
        "ACT001",
        "GRD001",
        "COL004",
        "LOS002",
    ),
)
def learning_rate_too_high(run: Run) -> Iterator[Finding]:
    seen = list(_strides(run) if run.matching("update_ratio/*") else _bursts(run))
    yield from seen
    for placed in () if seen else too_high(run):
        yield Finding(
            "OPT001",
            where=placed.model,
            message=(
                f"rate of {shown(placed.model, 24)} is {placed.now:.3g}: {placed.factor:.3g} times "
                f"the highest that lowers the loss ({placed.border:.2g})"
            ),
            evidence=(placed.evidence,),
            severity="error" if placed.told else "warning",
        )


def _strides(run: Run) -> Iterator[Finding]:
    """What a watched run shows: how far the steps went, and what came of it."""
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


def _bursts(run: Run) -> Iterator[Finding]:
    """What a log can show: the largest loss bursts at the start and is never the better for it."""
    losses = [s for s in lone_losses(run) if len(s) and s.value[0] > 0]
    largest = max((float(s.value[0]) for s in losses), default=math.nan)
    for series in losses:
        first, last, end = float(series.value[0]), int(series.step[-1]), _end(series)
        at, peak = _peak(_beginning(series))
        if first < largest or not (peak > BURST * max(first, end) and end > NO_BETTER * first):
            continue
        yield Finding(
            "OPT001",
            where=series.name,
            message=(
                f"{shown(series.name, 24)} rose from {first:.2g} to {peak:.2g} by step {at} and "
                f"ends at {end:.2g}: the first steps threw it away"
            ),
            evidence=(
                Evidence(series, ">", BURST * first, (at, at)),
                Evidence(last_median(series), ">", NO_BETTER * first, (last, last)),
            ),
            severity="error",
        )


def _beginning(series: Series) -> Series:
    count = int(EARLY * len(series))
    return Series(series.name, series.step[:count], series.value[:count])


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
    return rose, Evidence(last_median(series), ">", limit, (last, last))
