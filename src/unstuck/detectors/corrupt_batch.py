"""DAT009 corrupt-batch: the same batch throws the loss far outside its noise, epoch after epoch.

## Why is this bad?
A broken file, a row of answers shifted against its questions or a value in other units moves the
weights once an epoch into a wrong direction, and the rest of the epoch repairs it.

## How it is detected
Readings of `loss/<name>` that lie more than `FAR` noise scales above the median around them (both
from their neighbourhood: noise falls with the loss), and at `HIGH` times it or more in the middle,
come back with a constant period, the batches of an epoch in fixed order: at least `RECURS` times,
at `FAITHFUL` of the places of that period or more, and few such readings lie elsewhere. The period
is `SHORTEST` steps or more, or half as many readings where not every step is logged. Where the
order is shuffled and the log has an `epoch`, exactly one in each of `EPOCHS` epochs (or in
`FAITHFUL` of them) tells the same. A running mean hides such a batch.

## Example
>>> from unstuck import Run
>>> def run(high=3.0, period=24, times=8, missing=(), level=1.0):
...     noise = [0.01 * ((7 * t) % 11 - 5) for t in range(period * times)]
...     loss = [level + n for n in noise]
...     for time in set(range(times)) - set(missing):
...         loss[time * period + 6] = high
...     return Run.of(loss__train=loss)
>>> [finding.message for finding in corrupt_batch(run())]
['loss/train jumps to 3 every 24 steps, 8 of 8 times since step 6: one batch stands out']
>>> [finding.message for finding in corrupt_batch(run(0.84, missing=[2], level=0.4))]
['loss/train jumps to 0.84 every 24 steps, 7 of 8 times since step 6: one batch stands out']
>>> def shuffled(epochs, period=24):
...     spiked = run(1.0, period, epochs).series["loss/train"].value.tolist()
...     for epoch in range(epochs):
...         spiked[period * epoch + 2 * (5 * epoch * epoch % 11)] = 3.0
...     epoch = [float(t // period) for t in range(period * epochs)]
...     return Run.of(loss__train=spiked, epoch=epoch)
>>> [finding.message for finding in corrupt_batch(shuffled(11))]
['loss/train jumps to 3 once in 10 of 10 epochs since step 0: one sample stands out']

## Look-alikes
Batches that are only hard, spikes at odd times, ones too seldom to tell, a term that is added every
few steps on purpose, and a spike of its own:

>>> corrupt_batch(run(0.55, level=0.25)) + corrupt_batch(run(1.6))
[]
>>> corrupt_batch(run(times=12, missing=[4, 5, 6, 7, 8]))
[]
>>> corrupt_batch(run(times=4)) + corrupt_batch(shuffled(7))
[]
>>> corrupt_batch(run(period=16))
[]
>>> corrupt_batch(run(missing=range(1, 8)))
[]

## What to try
`drop-broken-samples`, `clip-gradients`

## References
- Northcutt, Athalye & Mueller, Pervasive Label Errors in Test Sets, 2021,
  <https://arxiv.org/abs/2103.14749>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.names import shown
from unstuck.signals.recurring import Steps, around, at_fixed_places, excess, in_each, onsets
from unstuck.signals.spans import finite

FAR = 8.0  # noise scales; a last batch of two reached 6, broken batches 16 and more (LOG.md)
HIGH = 2.0  # times the level around; broken batches came to 7, synthetic restarts to 1.6 (LOG.md)
SHORTEST = 20  # steps; terms added every few steps (lazy penalties, every 16) recur faster
RECURS = 5  # times; chance put up to 6 of 49 such readings of a healthy run at one place (LOG.md)
FAITHFUL = 0.7  # share of the places or epochs; broken batches were seen in 0.9 of them
EPOCHS = 8  # with one spike each by chance: 1 in 3,000 (Poisson of mean 1)


@detector("DAT009", needs=("loss/*",), by_step=True, explains=("OPT005",))
def corrupt_batch(run: Run) -> Iterator[Finding]:
    for series in lone_losses(run):
        high = excess(series)
        steps = onsets(high, FAR)
        found = _every_period(high, steps) or _once_an_epoch(steps, run.series.get("epoch"))
        if found is None:
            continue
        hits, said = found
        at = np.searchsorted(high.step, hits)
        value, level = finite(series).value[at], around(series).value[at]
        if float(np.median(value - HIGH * level)) < 0:
            continue
        span = int(hits[0]), int(hits[-1])
        yield Finding(
            "DAT009",
            where=series.name,
            message=(
                f"{shown(series.name, 24)} jumps to {float(np.median(value)):.3g} {said} stands out"
            ),
            evidence=(Evidence(Series(high.name, hits, high.value[at]), ">", FAR, span),),
        )


def _every_period(high: Series, steps: Steps) -> tuple[Steps, str] | None:
    """The steps that recur at a constant distance, and how a message says it."""
    interval = int(np.median(np.diff(high.step))) if len(high) > 1 else 1
    again = at_fixed_places(steps, SHORTEST * max(1, interval // 2))
    if again is None or len(again.steps) < RECURS:
        return None
    if len(again.steps) < FAITHFUL * max(again.places, len(steps)):
        return None
    said = f"every {again.period} steps, {len(again.steps)} of {again.places} times"
    return again.steps, f"{said} since step {again.steps[0]}: one batch"


def _once_an_epoch(steps: Steps, epoch: Series | None) -> tuple[Steps, str] | None:
    """The steps where exactly one falls into nearly every epoch."""
    counts = in_each(steps, epoch) if epoch is not None else np.zeros(0)
    once = int((counts == 1).sum())
    if counts.size < EPOCHS or once < FAITHFUL * counts.size or counts.max() > 2:
        return None
    return steps, f"once in {once} of {counts.size} epochs since step {steps[0]}: one sample"
