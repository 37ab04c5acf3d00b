"""OPT003 diverging-loss: a loss ends far above its start, or loses again what it had gained.

## Why is this bad?
The weights are worse than those the run began with, or than those it once had.

## How it is detected
Medians of `loss/<name>` over windows of steps stay above a limit during the last `LASTING` share
of the run. The limit is `RISE` times the start, or, for a loss that had fallen by `GAIN` of its
start or more, the level where `LOST_AGAIN` of that fall is undone; in both cases clear of the
noise of the start.

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

The losses of a game of two networks are not meant to fall:

>>> diverging_loss(Run.of(loss__d_loss=[0.7] * 100, loss__g_loss=rising))
[]

## What to try
`lower-learning-rate`, `clip-gradients`, `normalise-input`

## References
- Goodfellow, Bengio, Courville, Deep Learning, 2016, section 8.2, <https://www.deeplearningbook.org>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import end_level, start_level
from unstuck.signals.names import shown
from unstuck.signals.noise import clear_margin
from unstuck.signals.spans import last_span_beyond, length
from unstuck.signals.windows import in_windows

RISE = 2.0  # times the start; healthy runs ended at 1.0 or below (our runs, LOG.md)
GAIN = 0.3  # share of the start; smaller gains are lost to noise in healthy runs
LOST_AGAIN = 0.8  # share of the gain; schedules and harder stages gave back less than half
LASTING = 0.2  # share of the run; spikes and restarts of a schedule are shorter


@detector("OPT003", needs=("loss/*",), explains=("NUM001",))
def diverging_loss(run: Run) -> Iterator[Finding]:
    for series in lone_losses(run):
        calm = in_windows(series)
        limit = _limit(series, calm)
        span = last_span_beyond(calm, ">", limit, at_least=LASTING * length(calm))
        if span:
            start, end, best = start_level(series), end_level(series), float(calm.value.min())
            yield Finding(
                "OPT003",
                where=series.name,
                message=(
                    f"{shown(series.name, 24)} ends at {end:.3g} and has been above {limit:.3g} "
                    f"since step {span[0]}; it began at {start:.3g}, its best was {best:.3g}"
                ),
                evidence=(Evidence(calm, ">", limit, span),),
                severity="error",
            )


def _limit(series: Series, calm: Series) -> float:
    """The level above which a loss has diverged."""
    start, noise = start_level(series), clear_margin(series)
    best = float(calm.value.min(initial=start))
    gain = start - best
    rise = start + max((RISE - 1) * max(abs(start), gain), noise)
    if gain > max(GAIN * abs(start), noise):
        return min(rise, best + max(LOST_AGAIN * gain, noise))
    return rise
