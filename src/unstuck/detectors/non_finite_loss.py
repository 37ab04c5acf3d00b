"""NUM001 non-finite-loss: a loss becomes NaN or infinite and stays so to the end of the run.

## Why is this bad?
From that step on every update is NaN: nothing after it can be used, and time goes by.

## How it is detected
The last readings of `loss/<name>` are not finite, over at least `FOR_STEPS` steps. The message
says what the loss and the gradient norm were when they were last finite: a norm that had grown
points to the learning rate, an ordinary one to a single bad operation (log 0, 0/0, a bad sample).

## Example
>>> from unstuck import Run
>>> nan = float("nan")
>>> [finding.message for finding in non_finite_loss(Run.of(loss__train=[2.0, 1.5] + [nan] * 6))]
['loss/train has not been finite since step 2; it was 1.5 before']

## Look-alikes
An overflow that a gradient scaler skips is followed by finite readings, maybe not at once.

>>> non_finite_loss(Run.of(loss__train=[2.0, float("inf"), 1.4, 1.3, 1.2]))
[]
>>> non_finite_loss(Run.of(loss__train=[2.0, 1.5, nan, nan, nan, nan]))
[]

## What to try
`lower-learning-rate`, `clip-gradients`, `compute-loss-in-float32`, `drop-broken-samples`

## References
- Micikevicius et al., Mixed Precision Training, 2018, <https://arxiv.org/abs/1710.03740>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.names import shown
from unstuck.signals.spans import between, finite, last_span_beyond

FOR_STEPS = 4  # a loss scaler halves its scale for a few steps in a row: Micikevicius 2018, 3.2


@detector("NUM001", needs=("loss/*",), reads_nan=True)
def non_finite_loss(run: Run) -> Iterator[Finding]:
    for series in run.matching("loss/*"):
        span = last_span_beyond(series, "not finite", 0.0, at_least=FOR_STEPS)
        if span:
            message = f"{shown(series.name)} has not been finite since step {span[0]}"
            yield Finding(
                "NUM001",
                where=series.name,
                message=message + _before(run, series, span[0]),
                evidence=(Evidence(series, "not finite", 0.0, span),),
                severity="error",
            )


def _before(run: Run, series: Series, step: int) -> str:
    """What the loss and the largest gradient norm were when they were last finite."""
    ends = [
        float(clean.value[-1])
        for s in [series, *(n for n in run.matching("grad_norm/*") if n.name.count("/") == 1)]
        if len(clean := finite(between(s, None, step)))
    ]
    if not ends:
        return ""
    norm = f", the gradient norm {max(ends[1:]):.3g}" if len(ends) > 1 else ""
    return f"; it was {ends[0]:.3g}{norm} before"
