"""GEN001 overfitting: validation gets worse from its best while the training loss keeps falling.

## Why is this bad?
The last weights are not the best ones, and the time since the best step was spent on memorising.

## How it is detected
A metric of the validation split whose direction is known (losses and errors fall, accuracies and
the like rise), as medians of three readings: since its best it has worsened by more than `WORSE`
(of the best loss; for metrics that rise, of what had been gained), clearly more than its own
noise, over at least `LASTING` of the run, while the training loss fell below `FALLS` times its
level at the best step. Where another validation metric ends better than it was at that step, it is
an *info*: growing confidence on a few wrong answers makes a loss rise while the accuracy gains.
Where the others only hold, it is one unless the loss has worsened by `MUCH`. Of several metrics
the one that worsened most is reported.

## Example
>>> from unstuck import Run
>>> def run(end, turn=25, low=0.2, **more):
...     fall = [2.0 - 1.4 * t / turn for t in range(turn)]
...     back = [0.6] * 4 + [end] * (36 - turn)
...     train = [2.0 - 1.6 * t / turn for t in range(turn)]
...     train += [0.4 + (low - 0.4) * t / (39 - turn) for t in range(40 - turn)]
...     return Run.of(loss__train=train, metric__val__loss=fall + back, **more)
>>> [finding.message for finding in overfitting(run(0.72))]
['metric/val/loss was best at step 25 (0.6) and ends at 0.72; the training loss fell on to 0.2']

## Look-alikes
A validation loss that gives back a little, one that turned only just now, one that rises together
with the training loss (`diverging-loss`), and noise around a level:

>>> overfitting(run(0.68))
[]
>>> overfitting(run(0.9, turn=30))
[]
>>> overfitting(run(0.72, low=0.38))
[]
>>> flat = [2.0, 1.0] + [0.6, 0.5, 0.7, 0.55, 0.65, 0.62] * 6
>>> overfitting(Run.of(loss__train=[2.0 / (t + 1) for t in range(38)], metric__val__loss=flat))
[]

An accuracy that gains all the same makes it worth knowing only, and so does one that holds, unless
the loss has become much worse:

>>> def beside(end, last):
...     accuracy = [0.1 + 0.02 * min(t, last) for t in range(40)]
...     return [f.severity for f in overfitting(run(end, metric__val__accuracy=accuracy))]
>>> beside(1.02, last=39), beside(0.84, last=24), beside(0.96, last=24)
(['info'], ['info'], ['warning'])

## What to try
`stop-early`, `augment-data`, `raise-weight-decay`, `smooth-labels`

## References
- Prechelt, Early Stopping - But When?, 1998, <https://doi.org/10.1007/3-540-49430-8_3>
- Guo et al., On Calibration of Modern Neural Networks, 2017, <https://arxiv.org/abs/1706.04599>
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import end_level, median
from unstuck.signals.names import shown
from unstuck.signals.noise import clear_margin
from unstuck.signals.spans import between, finite, last_span_beyond, length
from unstuck.signals.splits import direction
from unstuck.signals.stages import by_stage

WORSE = 0.15  # of the best; runs that went on without harm gave back less than 0.1 (LOG.md)
MUCH = 0.5  # of the best; in five of five runs without regularisation 0.8 and more (LOG.md)
LASTING = 0.25  # share of the run; a validation metric wanders for shorter times (LOG.md)
FALLS = 0.8  # of the training loss at the best step; where it is flat, nothing is memorised


@dataclass(frozen=True, slots=True)
class Turn:
    """A validation metric that has worsened: medians of three, oriented so that it falls."""

    calm: Series
    best: int  # index
    limit: float  # above it the metric is clearly worse than at its best
    worsened: float  # share of the scale lost since the best


@detector("GEN001", needs=("loss/*", "metric/val/*"))
def overfitting(run: Run) -> Iterator[Finding]:
    all_metrics = [s for s in run.matching("metric/val/*") if direction(s.name)]
    metrics = [part for s in all_metrics for part in by_stage(run, s)]
    turns = [(s.name, turn) for s in metrics if (turn := _turn(s))]
    for name, turn in sorted(turns, key=lambda item: -item[1].worsened)[:1]:
        step = int(turn.calm.step[turn.best])
        train = next((s for s in lone_losses(run) if _falls_on(s, step)), None)
        span = last_span_beyond(turn.calm, ">", turn.limit)
        if train is None or span is None:
            continue
        sign = direction(name)
        best, end = sign * turn.calm.value[turn.best], sign * turn.calm.value[-1]
        yield Finding(
            "GEN001",
            where=name,
            message=(
                f"{shown(name, 32)} was best at step {step} ({best:.3g}) and ends at {end:.3g}; "
                f"the training loss fell on to {train.value[-1]:.2g}"
            ),
            evidence=(_evidence(turn.calm, sign, turn.limit, span),),
            severity="warning" if _harms(turn, step, metrics, len(turns)) else "info",
        )


def _harms(turn: Turn, step: int, metrics: list[Series], turned: int) -> bool:
    """Whether the last weights are the worse ones by every metric, or much worse by one."""
    if turned == len(metrics):
        return True
    return turn.worsened > MUCH and not any(_gained(s, step) for s in metrics)


def _gained(series: Series, step: int) -> bool:
    """Whether a metric, as medians of three readings, ends better than it was at a step."""
    clean, sign = finite(series), direction(series.name)
    before, after = clean.value[clean.step <= step][-3:], clean.value[-3:]
    if not before.size or clean.step[-1] <= step:
        return False
    return float(sign * np.median(after)) < float(sign * np.median(before))


def _turn(series: Series) -> Turn | None:
    """How a validation metric worsened since its best; None where it did not."""
    clean, sign = finite(series), direction(series.name)
    if len(clean) < 5:
        return None
    triples = np.lib.stride_tricks.sliding_window_view(clean.value, 3)
    value = sign * np.median(triples, axis=1)
    best = int(value.argmin())
    scale = abs(value[best]) if sign > 0 else value[0] - value[best]  # 0: it never rose
    limit = float(value[best] + max(WORSE * scale, clear_margin(clean)))
    calm = Series(f"{series.name} (median of 3)", clean.step[1:-1], value)
    lasted = calm.step[-1] - calm.step[best] >= LASTING * length(calm)
    lost = float(value[-1] - value[best])
    if not (lasted and value[-1] > limit and lost > 0):
        return None
    return Turn(calm, best, limit, lost / (scale or abs(value[best])))


def _falls_on(series: Series, step: int) -> bool:
    """Whether a training loss fell well below its level at a step."""
    around = length(series) // 20
    level = median(between(series, step - around, step + around))
    return end_level(series) < FALLS * level


def _evidence(calm: Series, sign: int, limit: float, span: tuple[int, int]) -> Evidence:
    """The claim in the metric's own direction."""
    metric = Series(calm.name, calm.step, sign * calm.value)
    return Evidence(metric, ">" if sign > 0 else "<", sign * limit, span)
