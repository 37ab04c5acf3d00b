"""GEN004 validation-leak: validation says nothing new; it is the training data, or too good.

## Why is this bad?
Every choice made by it (checkpoint, learning rate, when to stop) is made blindly, and what is
reported is not what the model will do.

## How it is detected
Three signs, from the first evaluation to the last, and one that the probe `labels` finds:

- a metric of the validation split equals that of the training split to all digits at `SAME` of the
  steps where both were read, with `DISTINCT` values or more among them: it is the same data;
- an accuracy of the validation split is 1 (or 100) and never less, and began to be so when the
  training loss still had `UNLEARNT` of its start left (which was above `GUESSING`, so that the
  model knew nothing), of which it then lost all but `LEARNT`: the answers themselves were judged;
- a validation loss is less than `BELOW` of the training loss that follows it, and never more,
  where the training loss is no sum of terms. Dropout, augmentation and mixed labels do that to
  healthy runs, so this is an *info*;
- more than a tenth of the held-out samples are copies of ones that are trained on, bit by bit or
  nearly, where less than a tenth of them were so by chance: a split after oversampling or
  augmentation, frames of one video, patients in both parts.

## Example
>>> from unstuck import Run
>>> def run(train, val, **more):
...     return Run.of(metric__train__loss=train, metric__val__loss=val, **more)
>>> fall = [2.3 * 0.9 ** t for t in range(20)]
>>> nine = [0.9, 0.8, 0.71, 0.62, 0.53, 0.44, 0.35, 0.26, 0.17] * 3
>>> [finding.message for finding in validation_leak(run(fall, fall))]
['metric/val/loss equals metric/train/loss in all digits at 20 of 20 readings: read twice']
>>> len(validation_leak(run(nine, nine)))
1
>>> def perfect(at=0, left=0.7, start=2.3, end=0.4, first=1.0):
...     loss = [start] * 10 + [start * left] * 10 + [start * end] * 20
...     accuracy = [float("nan")] * at + [first] + [1.0] * (39 - at)
...     return Run.of(loss__train=loss, metric__val__accuracy=accuracy)
>>> [finding.message for finding in validation_leak(perfect())]
['metric/val/accuracy is 1 in all of 40 readings, first when loss/train was at 100% of its start']
>>> len(validation_leak(perfect(start=0.8)))
1
>>> [(f.message, f.severity) for f in validation_leak(run(fall, [0.4 * v for v in fall]))]
[('metric/val/loss stays below 0.5 times metric/train/loss in all of 20 readings', 'info')]

Facts of the probe alone:

>>> from unstuck import diagnose
>>> def copied(overlap, by_chance=0.0):
...     known = {"overlap": overlap, "by_chance": by_chance, "held_out": 256}
...     run = Run.of(facts={f"labels/model/{name}": value for name, value in known.items()})
...     return [cause.finding.message for cause in diagnose(run).causes]
>>> copied(0.3)
['model: 30% of 256 held-out samples are copies of samples that are trained on']

## Look-alikes
Splits that are only alike, values that are equal because there are few of them, a validation loss
that is lower by what dropout costs, one that is not so at first, a task that is solved by the first
evaluation, one that is never learnt, a model that knew it before, and an accuracy that rises to 1:

>>> validation_leak(run(fall, [v * (1 if t % 7 % 3 else 1.1) for t, v in enumerate(fall)]))
[]
>>> validation_leak(run(nine[:7] * 3, nine[:7] * 3))
[]
>>> validation_leak(run(fall, [0.6 * v for v in fall]))
[]
>>> validation_leak(run(fall, [(1.1 if t == 0 else 0.4) * v for t, v in enumerate(fall)]))
[]
>>> validation_leak(perfect(at=12)) + validation_leak(perfect(end=0.6))
[]
>>> validation_leak(perfect(start=0.5)) + validation_leak(perfect(first=0.9))
[]

Data that repeat themselves a little, and inputs of which there are few kinds:

>>> copied(0.08) + copied(0.3, by_chance=0.3)
[]

## What to try
`use-held-out-data`

## References
- Kapoor & Narayanan, Leakage and the Reproducibility Crisis in Machine-Learning-Based Science,
  2023, <https://arxiv.org/abs/2207.07048>
- Barz & Denzler, Do We Train on Test Data? Purging CIFAR of Near-Duplicates, 2020,
  <https://arxiv.org/abs/1902.00423>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.align import together
from unstuck.signals.copies import shared_samples
from unstuck.signals.games import lone_losses
from unstuck.signals.known import known
from unstuck.signals.levels import FIRST, end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import finite
from unstuck.signals.splits import both_splits
from unstuck.signals.units import first_level
from unstuck.signals.windows import in_windows
from unstuck.vocabulary import higher_is_better

SAME = 0.9  # share of the readings; two splits of 300 rows never gave the same loss (LOG.md)
DISTINCT = 8  # values; accuracies of small splits take few, and then agree by chance
UNLEARNT = 0.85  # of the start; a model that still guesses is right once in C times
GUESSING = 0.6  # below log 2, the cross-entropy of guessing between two
LEARNT = 0.5  # of the start; a run that learns nothing has another fault
BELOW = 0.5  # times; with dropout and smoothed labels healthy runs stayed above 0.7 (LOG.md)


@detector("GEN004", needs=("metric/val/*",), or_facts=("labels/*/overlap",))
def validation_leak(run: Run) -> Iterator[Finding]:
    yield from _copies(run)
    for train, val in both_splits(run):
        found = _same_split(train, val) or _far_below(run, train, val)
        if found:
            yield found
    for series in run.matching("metric/val/*"):
        found = _perfect(run, series)
        if found:
            yield found


def _copies(run: Run) -> Iterator[Finding]:
    """Held-out samples that are trained on."""
    for where, share, evidence in shared_samples(run):
        count = known(run, f"labels/{where}/held_out")
        message = (
            f"{shown(where, 24)}: {share:.0%} of {count:g} held-out samples are copies of samples "
            "that are trained on"
        )
        yield Finding("GEN004", where, message, (evidence,))


def _same_split(train: Series, val: Series) -> Finding | None:
    """The same numbers under two names."""
    step, (a, b) = together([train, val])
    known = np.isfinite(a) & np.isfinite(b)
    equal = known & (a == b)
    if np.unique(b[equal]).size < DISTINCT or equal.sum() < SAME * known.sum():
        return None
    apart = Series(f"{val.name} - {train.name}", step[equal], np.zeros(int(equal.sum())))
    message = (
        f"{shown(val.name, 24)} equals {shown(train.name, 24)} in all digits at "
        f"{equal.sum()} of {known.sum()} readings: read twice"
    )
    return _finding(val, message, Evidence(apart, "<", np.nextafter(0, 1), _span(apart)))


def _far_below(run: Run, train: Series, val: Series) -> Finding | None:
    """A validation loss far below the training loss of the window that follows each reading."""
    calm, clean = in_windows(train), finite(val)
    if len(calm) < FIRST or len(clean) < FIRST or higher_is_better(val.name):
        return None
    if len(run.matching(train.name.replace("loss/", "term/", 1) + "/*")) > 1:
        return None
    after = calm.value[np.minimum(np.searchsorted(calm.step, clean.step) + 1, len(calm) - 1)]
    if not bool(np.all((clean.value < BELOW * after) & (clean.value > 0))):
        return None
    ratio = Series(f"{val.name} / {train.name}", clean.step, clean.value / after)
    message = (
        f"{shown(val.name, 32)} stays below {BELOW:g} times {shown(train.name, 32)} "
        f"in all of {len(clean)} readings"
    )
    return _finding(val, message, Evidence(ratio, "<", BELOW, _span(ratio)), info=True)


def _perfect(run: Run, series: Series) -> Finding | None:
    """An accuracy of exactly 1 from a time on when the model had learnt nothing."""
    clean = finite(series)
    if "acc" not in series.name or len(clean) < FIRST:
        return None
    if clean.value[0] not in (1.0, 100.0) or bool(np.any(clean.value != clean.value[0])):
        return None
    for loss in lone_losses(run):
        start, calm = first_level(run, loss), in_windows(loss)
        if not start > GUESSING or not end_level(loss) < LEARNT * start:
            continue
        at = min(int(np.searchsorted(calm.step, clean.step[0])), len(calm) - 1)
        if calm.value[at] > UNLEARNT * start:
            message = (
                f"{shown(series.name, 24)} is {clean.value[0]:g} in all of {len(clean)} "
                f"readings, first when {shown(loss.name, 24)} was at {calm.value[at] / start:.0%} "
                f"of its start"
            )
            return _finding(series, message, Evidence(series, ">", 0.999, _span(clean)))
    return None


def _span(series: Series) -> tuple[int, int]:
    return int(series.step[0]), int(series.step[-1])


def _finding(series: Series, message: str, evidence: Evidence, *, info: bool = False) -> Finding:
    return Finding("GEN004", series.name, message, (evidence,), "info" if info else "warning")
