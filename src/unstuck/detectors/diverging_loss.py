"""OPT003 diverging-loss: a loss ends far above its start, or loses again what it had gained.

## Why is this bad?
The weights are worse than those the run began with, or than those it once had.

## How it is detected
Medians of `loss/<name>` over windows of steps stay above a limit during the last `LASTING` share
of the run. The limit is `RISE` times the start, or, for a loss that had fallen by `GAIN` of its
start or more, the level where `LOST_AGAIN` of that fall is undone; in both cases clear of the
noise of the start. A log of epochs starts with its first line; other runs with the median of the
first readings, and only what comes after these is a fall.

Where a validation metric got better than it was at first, by more than `LEARNED` and clear of its
noise, and stays so to the end, the network learns, whatever becomes of the loss, and it is an
*info*: a detector's loss of boxes begins near zero, because nothing is found yet that it could be
wrong about.

In reinforcement learning only the losses of values (`td_loss`, `value_loss`) are looked at. They
grow with what an agent earns, so the limit is `RISE_OF_VALUES` times the start, and the returns
must have grown by less than `GAIN`.

## Example
>>> from unstuck import Run
>>> rising = [1.0] * 40 + [1.0 + 0.05 * t for t in range(60)]
>>> [finding.message for finding in diverging_loss(Run.of(loss__train=rising))]
['loss/train ends at 3.73 and has been above 2 since step 61; it began at 1, its best was 1']
>>> fell_and_rose = [1.0] * 5 + [0.6] * 70 + [0.99] * 25
>>> [finding.message for finding in diverging_loss(Run.of(loss__train=fell_and_rose))]
['loss/train ends at 0.99 and has been above 0.92 since step 76; it began at 1, its best was 0.6']

## Look-alikes
A loss that rises a little, one that rises for a short while, one that gives back a part of what
it gained (a schedule, a harder stage), and one that never had gained much:

>>> diverging_loss(Run.of(loss__train=[1.0] * 40 + [1.6] * 60))
[]
>>> diverging_loss(Run.of(loss__train=[1.0] * 83 + [4.0] * 17))
[]
>>> diverging_loss(Run.of(loss__train=[1.0] * 5 + [0.6] * 70 + [0.85] * 25))
[]
>>> diverging_loss(Run.of(loss__train=[1.0] * 5 + [0.75] * 70 + [0.99] * 25))
[]

A loss that grows while the network learns its task is worth knowing only:

>>> def learns(gain, end):
...     val = [1.0 - gain * min(t, 40) / 40 for t in range(80)] + [end] * 20
...     return Run.of(loss__box=rising, metric__val__loss=val)
>>> [f.severity for f in diverging_loss(learns(0.07, 0.93))]
['info']
>>> [f.severity for f in diverging_loss(learns(0.04, 0.96)) + diverging_loss(learns(0.5, 0.99))]
['error', 'error']

The losses of a game of two networks are not meant to fall:

>>> diverging_loss(Run.of(loss__d_loss=[0.7] * 100, loss__g_loss=rising))
[]

Errors of values that grow with the returns, beside those that grow without:

>>> def values(end, returns):
...     return Run.of(loss__td_loss=[0.5] * 40 + [end] * 60, metric__train__mean_return=returns)
>>> diverging_loss(values(6.0, [10.0] * 50 + [40.0] * 50))
[]
>>> diverging_loss(values(4.0, [10.0] * 100))
[]
>>> [finding.where for finding in diverging_loss(values(6.0, [10.0] * 100))]
['loss/td_loss']

## What to try
`lower-learning-rate`, `clip-gradients`, `normalise-input`

## References
- Goodfellow, Bengio, Courville, Deep Learning, 2016, section 8.2, <https://www.deeplearningbook.org>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses, returns, value_losses
from unstuck.signals.levels import FIRST, end_level, start_level
from unstuck.signals.names import shown
from unstuck.signals.noise import clear_margin
from unstuck.signals.spans import finite, last_span_beyond, length
from unstuck.signals.splits import direction
from unstuck.signals.units import counts_epochs, first_level
from unstuck.signals.windows import in_windows

RISE = 2.0  # times the start; healthy runs ended at 1.0 or below (our runs, LOG.md)
RISE_OF_VALUES = 10.0  # times; DQN that learns ends below 0.3 of its start, diverging at 9,000
GAIN = 0.3  # share of the start; smaller gains are lost to noise in healthy runs
LOST_AGAIN = 0.8  # share of the gain; schedules and harder stages gave back less than half
LEARNED = 0.05  # of the first level; a sound YOLO 0.1 after a quarter, diverging runs -0.7 (LOG.md)
LASTING = 0.2  # share of the run; spikes and restarts of a schedule are shorter


@detector("OPT003", needs=("loss/*",), explains=("NUM001",))
def diverging_loss(run: Run) -> Iterator[Finding]:
    limits = [(series, _limit(run, series)) for series in lone_losses(run)]
    if not any(_earns_more(s) for s in returns(run)):
        limits += [(s, RISE_OF_VALUES * max(first_level(run, s), 0.0)) for s in value_losses(run)]
    for series, limit in limits:
        calm = in_windows(series)
        span = last_span_beyond(calm, ">", limit, at_least=LASTING * length(calm))
        if span:
            start, end = first_level(run, series), end_level(series)
            best = float(calm.value.min())
            yield Finding(
                "OPT003",
                where=series.name,
                message=(
                    f"{shown(series.name, 24)} ends at {end:.3g} and has been above {limit:.3g} "
                    f"since step {span[0]}; it began at {start:.3g}, its best was {best:.3g}"
                ),
                evidence=(Evidence(calm, ">", limit, span),),
                severity="info" if _learns(run) else "error",
            )


def _learns(run: Run) -> bool:
    """Whether a validation metric ends better than it began."""
    for series in run.matching("metric/val/*"):
        gained = direction(series.name) * (start_level(series) - end_level(series))
        if gained > max(LEARNED * abs(start_level(series)), clear_margin(series)):
            return True
    return False


def _earns_more(earned: Series) -> bool:
    """Whether returns have grown by `GAIN` of what they were."""
    start = start_level(earned)
    return end_level(earned) - start > GAIN * abs(start)


def _limit(run: Run, series: Series) -> float:
    """The level above which a loss has diverged."""
    start, noise = first_level(run, series), clear_margin(series)
    calm, clean = in_windows(series), finite(series)
    begun = 0 if counts_epochs(run) else FIRST - 1
    later = calm.value[calm.step > clean.step[begun]] if len(clean) > begun else calm.value
    best = float(later.min(initial=start))
    gain = start - best
    rise = start + max((RISE - 1) * max(abs(start), gain), noise)
    if gain > max(GAIN * abs(start), noise):
        return min(rise, best + max(LOST_AGAIN * gain, noise))
    return rise
