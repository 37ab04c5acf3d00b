"""OPT004 loss-plateau: a loss has been flat almost from the start, with most of it still there.

## Why is this bad?
The run goes on and learns nothing more. This is a symptom: look at the cause it stands under.

## How it is detected
From no later than `EARLY` of the run to its end, medians of `loss/<name>` over windows of steps
stay within `FLAT` of the start around their last level, no fall of `SLOW` of the start is sure
(interval of the robust trend), at least `LEFT` of the start is left, and it lasts `FOR_STEPS`
steps, or `FOR_EPOCHS` epochs where the log has one line an epoch. Where the loss itself is not
flat, a term that makes up most of it is looked at in the same way.

What the log alone cannot tell is whether anything was left to learn: a fine-tuned model or noisy
labels give the same picture. So this is an *info*, and a *warning* only where the median of the
flat part's second half, or that of a validation loss as high as it, is within `AT_CHANCE` of log C
for some C up to 20, the cross-entropy of guessing among C classes, and the loss fell to it by less
than `FELL` of its start.

## Example
>>> from unstuck import Run
>>> stuck = [2.32, 2.34, 2.30, 2.31, 2.33] + [2.309, 2.312, 2.308] * 80
>>> [finding.message for finding in loss_plateau(Run.of(loss__train=stuck))]
['loss/train has stayed at 2.31 since step 6, 100% of its start: guessing among 10 classes']
>>> flat = [0.89] * 5 + [0.88 - 0.002 * t for t in range(111)]
>>> flat += [0.66 - 0.000026 * t for t in range(260)]
>>> [(f.message, f.severity) for f in loss_plateau(Run.of(loss__train=flat))]
[('loss/train has stayed at 0.654 since step 112, 73% of its start', 'info')]
>>> def wavy(height):
...     return Run.of(loss__train=[0.9] * 5 + [0.66 + height * (t // 24 % 2) for t in range(240)])
>>> [f.severity for f in loss_plateau(wavy(0.02))]
['info']
>>> [f.severity for f in loss_plateau(Run.of(loss__train=[2.314] * 250))]
['info']
>>> [f.severity for f in loss_plateau(Run.of(loss__train=[2.58] * 5 + [2.303] * 250))]
['info']
>>> [f.severity for f in loss_plateau(Run.of(loss__train=[2.5] * 5 + [2.303] * 250))]
['warning']
>>> def epochs(count):
...     return Run.of(facts={"step/unit": "epoch"}, loss__train=[2.303] * count)
>>> [f.severity for f in loss_plateau(epochs(24))]
['warning']

## Look-alikes
A loss that converged with little left, one that still falls slowly, one that swings, one that fell
for half the run before it was flat, ones that are only short, and a game of two networks:

>>> loss_plateau(Run.of(loss__train=[0.9] * 5 + [0.45] * 250))
[]
>>> loss_plateau(Run.of(loss__train=[0.9 - 0.00004 * t for t in range(270)]))
[]
>>> loss_plateau(wavy(0.035))
[]
>>> falling = [0.9 - 0.00095 * t for t in range(190)]
>>> loss_plateau(Run.of(loss__train=falling + [0.72] * 230))
[]
>>> loss_plateau(Run.of(loss__train=[0.89] * 5 + [0.66] * 160))
[]
>>> loss_plateau(epochs(16))
[]
>>> loss_plateau(Run.of(loss__d_loss=[1.386] * 300, loss__g_loss=[0.693] * 300))
[]

## What to try
`overfit-one-batch`, `raise-learning-rate`

## References
- Theil 1950 and Sen, Estimates of the Regression Coefficient Based on Kendall's Tau, 1968,
  <https://doi.org/10.1080/01621459.1968.10480934>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import end_level, median
from unstuck.signals.names import shown
from unstuck.signals.spans import between, from_step, length
from unstuck.signals.terms import terms_by_loss
from unstuck.signals.trends import trend
from unstuck.signals.units import first_level, lasting
from unstuck.signals.windows import in_windows

EARLY = 0.35  # share of the run; healthy runs still fall then or have little left (LOG.md)
LEFT = 0.6  # share of the start; stuck runs kept 0.65 to 1 of it, converged ones less (LOG.md)
FLAT = 0.03  # share of the start; medians of stuck runs stayed within 0.02 of it (LOG.md)
SLOW = 0.01  # share of the start; a slow but healthy run lost 0.025 of it (LOG.md)
FOR_STEPS = 200  # a slow but healthy run was flat for its first 120 (LOG.md)
FOR_EPOCHS = 20  # the same run read as 50 epochs was flat for its first 10
AT_CHANCE = 0.004  # relative; collapsed classifiers stay nearer to log C (LOG.md)
FELL = 0.1  # share of the start; a first layer too large cost a guessing model 0.08 (LOG.md)
CLASSES = np.log(np.arange(2, 21))


@detector("OPT004", needs=("loss/*",), explains=("GEN002",))
def loss_plateau(run: Run) -> Iterator[Finding]:
    terms = {group[0].loss: group for group in terms_by_loss(run)}
    for series in lone_losses(run):
        name = series.name.split("/", 1)[1]
        main = [
            value
            for term in terms.get(name, ())
            if (value := term.series("term")) and (share := term.series("share"))
            if end_level(share) > LEFT
        ]
        for candidate in (series, *main):
            if span := _flat_span(run, candidate):
                yield _finding(run, candidate, span)
                break


def _flat_span(run: Run, series: Series) -> tuple[int, int] | None:
    """First and last step of the plateau that ends the series, if there is one."""
    calm, start, level = in_windows(series), first_level(run, series), end_level(series)
    for_steps = lasting(run, steps=FOR_STEPS, epochs=FOR_EPOCHS)
    if not (start > 0 and level > LEFT * start) or len(calm) < 2:
        return None
    away = np.flatnonzero(np.abs(calm.value - level) > FLAT * start)
    first = int(calm.step[away[-1] + 1]) if away.size and away[-1] + 1 < len(calm) else 0
    first = first if away.size else int(calm.step[0])
    if away.size and away[-1] == len(calm) - 1:
        return None
    if first - calm.step[0] > EARLY * length(calm) or calm.step[-1] - first < for_steps:
        return None
    course = trend(from_step(series, first))
    if course is None or (course.falls and course.change < -SLOW * start):
        return None
    return first, int(calm.step[-1])


def _finding(run: Run, series: Series, span: tuple[int, int]) -> Finding:
    calm, start, level = in_windows(series), first_level(run, series), end_level(series)
    late = (span[0] + span[1]) // 2, span[1]
    plateau = median(between(series, *late))
    judged = [median(between(s, *late)) for s in run.matching("metric/val/*loss*")]
    levels = [plateau, *(v for v in judged if abs(v - plateau) < FLAT * start)]
    distance = np.min([np.abs(CLASSES - v) / CLASSES for v in levels], axis=0)
    guessing = bool(distance.min() < AT_CHANCE) and plateau > (1 - FELL) * start
    chance = f": guessing among {int(distance.argmin()) + 2} classes" if guessing else ""
    return Finding(
        "OPT004",
        where=series.name,
        message=(
            f"{shown(series.name)} has stayed at {level:.3g} since step {span[0]}, "
            f"{level / start:.0%} of its start{chance}"
        ),
        evidence=(
            Evidence(calm, ">", level - FLAT * start * 1.001, span),
            Evidence(calm, "<", level + FLAT * start * 1.001, span),
        ),
        severity="warning" if guessing else "info",
    )
