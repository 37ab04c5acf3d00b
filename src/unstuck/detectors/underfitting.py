"""GEN002 underfitting: training and validation have levelled off together, little above guessing.

## Why is this bad?
The model is not able to do more, or is kept from it: too small, held down by decay or dropout, or
fed too little of the input. More data and more steps change nothing.

## How it is detected
For a classifier of 2 to `MOST` classes (its training loss starts at log C) the accuracy on
validation, as the median of the second half of its ten or more readings, is less than `SOME` of the
way from guessing (1/C) to all right. Less than `LITTLE` makes it a *warning* in place of an *info*.
Meanwhile the training loss keeps `LEFT` of its start, and in the second half of the run, which
lasts `FOR_STEPS` steps or `FOR_EPOCHS` epochs, it has not fallen by `SLOW` of it for sure (interval
of the robust trend); and the accuracy on training rows, where it is read, is no more than `APART`
of that way better. Labels that are mostly wrong set such a limit, too: then nothing is at fault.

## Example
>>> from unstuck import Run
>>> def run(accuracy=0.2, end=2.05, apart=0.0, n=800, fall=0.0, start=2.3, **more):
...     half = n // 2
...     course = [start - (start - end) * t / half for t in range(half)]
...     course += [end - fall * t / half for t in range(half)]
...     return Run.of(loss__train=course, metric__val__accuracy=[accuracy] * n,
...                   metric__train__accuracy=[accuracy + apart] * n, **more)
>>> [finding.message for finding in underfitting(run())]
['metric/val/accuracy stays at 0.2, guessing gives 0.1; loss/train is near 2.05 since step 400']
>>> [f.severity for f in underfitting(run(0.28)) + underfitting(run(0.4)) + underfitting(run(0.45))]
['warning', 'info', 'info']
>>> len(underfitting(run(fall=0.04)) + underfitting(run(n=500)) + underfitting(run(apart=0.08)))
3
>>> epochs = {"step/unit": "epoch"}
>>> len(underfitting(run(n=50, facts=epochs)) + underfitting(run(start=2.77, end=2.5)))
2

## Look-alikes
A model that is half right, a loss that is low, one that still falls, a training set that is learnt
(`overfitting`), runs that are only short, and a task of many classes:

>>> underfitting(run(0.6)) + underfitting(run(end=1.3)) + underfitting(run(fall=0.06))
[]
>>> underfitting(run(apart=0.12))
[]
>>> underfitting(run(n=350)) + underfitting(run(n=32, facts=epochs))
[]
>>> underfitting(run(start=3.26, end=3.0))
[]

## What to try
`overfit-one-batch`, `raise-capacity`

## References
- Goodfellow, Bengio, Courville, Deep Learning, 2016, section 5.2, <https://www.deeplearningbook.org>
"""

import math
from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series, Severity
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, from_step, length
from unstuck.signals.splits import both_splits
from unstuck.signals.trends import trend
from unstuck.signals.units import first_level, lasting
from unstuck.signals.windows import FEW, in_windows

LITTLE = 0.25  # of the way from guessing to all right; sick runs came to 0.14 of it (LOG.md)
SOME = 0.5  # of that way; the worst healthy run that was flat came to 0.6 (LOG.md)
LEFT = 0.6  # share of the start; as for a loss-plateau
SLOW = 0.02  # share of the start; networks that only learn slowly lost 0.07 and more (LOG.md)
FOR_STEPS = 200  # as for a loss-plateau
FOR_EPOCHS = 20  # as for a loss-plateau
APART = 0.1  # of the way from guessing to all right; splits of 300 rows differ by 0.05
MOST = 20  # classes; with more, little is a lot


@detector("GEN002", needs=("loss/*", "metric/val/*"))
def underfitting(run: Run) -> Iterator[Finding]:
    for loss in lone_losses(run):
        start, late = first_level(run, loss), _second_half(loss)
        classes = math.exp(start) if 0 < start < 2 * math.log(MOST) else math.inf
        guess = 1 / max(round(classes), 2) if classes < MOST else math.nan
        if not _level(run, late, start):
            continue
        for series in run.matching("metric/val/*acc*"):
            reached = (_late_median(series) - guess) / (1 - guess)
            if not reached < SOME or _apart(run, series) > APART * (1 - guess):
                continue
            yield _finding(series, late, guess, "warning" if reached < LITTLE else "info", start)


def _level(run: Run, late: Series, start: float) -> bool:
    """Whether the second half of a loss is high, flat and long enough."""
    course = trend(late)
    if course is None or length(late) < lasting(run, steps=FOR_STEPS, epochs=FOR_EPOCHS) - 1:
        return False
    flat = not (course.falls and course.change < -SLOW * start)
    return flat and bool(np.all(in_windows(late).value > LEFT * start))


def _second_half(series: Series) -> Series:
    clean = finite(series)
    return from_step(clean, int(clean.step[0] + clean.step[-1] + 1) // 2) if len(clean) else clean


def _late_median(series: Series) -> float:
    """Median of the second half of the readings as a share; NaN where there are too few."""
    value = finite(series).value
    if value.size < FEW:
        return math.nan
    level = float(np.median(value[value.size // 2 :]))
    return level / 100 if value.max() > 1 else level


def _apart(run: Run, series: Series) -> float:
    """How much better the same accuracy is on training rows; 0 where it is not read."""
    gaps = (_late_median(t) - _late_median(v) for t, v in both_splits(run) if v is series)
    return next((gap for gap in gaps if math.isfinite(gap)), 0.0)


def _finding(
    series: Series, late: Series, guess: float, severity: Severity, start: float
) -> Finding:
    calm, last = in_windows(late), series.step[-1:]
    reached = Series(f"{series.name} (median)", last, np.array([_late_median(series)]))
    limit = guess + SOME * (1 - guess)
    return Finding(
        "GEN002",
        where=series.name,
        message=(
            f"{shown(series.name, 24)} stays at {reached.value[0]:.2g}, guessing gives "
            f"{guess:.2g}; {shown(late.name, 24)} is near {end_level(late):.3g} "
            f"since step {late.step[0]}"
        ),
        evidence=(
            Evidence(reached, "<", limit, (int(last[0]), int(last[0]))),
            Evidence(calm, ">", LEFT * start, (int(calm.step[0]), int(calm.step[-1]))),
        ),
        severity=severity,
    )
