"""OPT006 collapsed-schedule: the learning rate is next to nothing with most of the run ahead.

## Why is this bad?
Nothing is learned any more, whatever is computed. The usual slips: a schedule counted in epochs
that is stepped at every batch, or one whose length is not that of the run.

## How it is detected
The largest rate of an optimizer's groups stays below `COLLAPSED` times its peak for the last
`AHEAD` of the run, and no other optimizer keeps a higher share of its own peak meanwhile.

It is a *warning* unless a loss or a validation metric shows that nothing was to be gained any more
when it happened, which makes it an *info*: a rate is lowered on a plateau on purpose. Counted in
summed learning rate, and its noise allowed for, such a series gained less than `RESTED` of its fall
on the last quarter of its way. Where no series has enough readings to say, it is a warning only if
the rate collapsed within `EARLY` of the run: too soon to have come to rest.

## Example
>>> from unstuck import Run
>>> def run(since=40, low=0.0007, gain=0.5, **more):
...     loss = [2.3] * 3 + [1.5] * 25 + [1.5 - gain] * 72
...     return Run.of(lr__adam=[0.1] * since + [0.1 * low] * (100 - since),
...                   loss__train=loss, **more)
>>> [(f.message, f.severity) for f in collapsed_schedule(run())]
[('lr/adam has been below 0.001 of its peak of 0.1 since step 40, 60% of the run', 'warning')]

A rate that was lowered when the loss was flat, or the validation, may be meant:

>>> [f.severity for f in collapsed_schedule(run(gain=0.36))]
['info']
>>> [f.severity for f in collapsed_schedule(
...     run(metric__val__loss=[2.0 - 0.1 * min(t, 9) for t in range(100)]))]
['info']

With no loss to look at, it depends on how soon it happened:

>>> [collapsed_schedule(Run.of(lr__adam=[0.1] * t + [0.0] * (200 - t)))[0].severity
...  for t in (25, 34)]
['warning', 'info']

## Look-alikes
A schedule that ends with the run, a lower rate that still moves the weights, cycles, and an
optimizer that rests while another one works:

>>> collapsed_schedule(run(since=60))
[]
>>> collapsed_schedule(run(low=0.0014))
[]
>>> collapsed_schedule(Run.of(lr__adam=([0.1] + [0.0] * 19) * 5))
[]
>>> collapsed_schedule(run(lr__sgd=[0.01] * 100))
[]

## What to try
`rescale-schedule`

## References
- PyTorch, How to adjust learning rate, <https://pytorch.org/docs/stable/optim.html>
- Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017,
  <https://arxiv.org/abs/1608.03983>
"""

import math
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.names import shown
from unstuck.signals.rates import most_gained_at_end, peak, rates
from unstuck.signals.spans import between, last_span_beyond, length
from unstuck.vocabulary import higher_is_better

COLLAPSED = 1e-3  # of the peak: a third drop by ten comes late in a run (LOG.md)
AHEAD = 0.5  # share of the run: most of it; schedules that end before their run leave less (LOG.md)
RESTED = 0.35  # of the fall; cut off early 0.40 up, lowered on a plateau up to 0.31 (LOG.md)
EARLY = 0.15  # share of the run; wrongly stepped schedules 0.05 to 0.12, plateaus 0.2 up (LOG.md)


@detector("OPT006", needs=("lr/*",), explains=("GEN002", "OPT002", "OPT004"))
def collapsed_schedule(run: Run) -> Iterator[Finding]:
    moving = [rate for rate in rates(run) if peak(rate) > 0]
    spans = [_collapse(rate) for rate in moving]
    if not all(spans):
        return
    for rate, span in zip(moving, spans, strict=True):
        if span:
            share = (span[1] - span[0]) / length(rate)
            yield Finding(
                "OPT006",
                where=rate.name.split("/", 1)[1],
                message=(
                    f"{shown(rate.name)} has been below {COLLAPSED:.2g} of its peak of "
                    f"{peak(rate):.2g} since step {span[0]}, {share:.0%} of the run"
                ),
                evidence=(Evidence(rate, "<", COLLAPSED * peak(rate), span),),
                severity="warning" if _was_learning(run, rate, span[0]) else "info",
            )


def _collapse(rate: Series) -> tuple[int, int] | None:
    """First and last step of the stretch next to nothing that ends the series, if it is long."""
    limit = COLLAPSED * peak(rate)
    return last_span_beyond(rate, "<", limit, at_least=AHEAD * length(rate))


def _was_learning(run: Run, rate: Series, until: int) -> bool:
    """Whether no loss and no validation metric had come to rest when the rate collapsed."""
    metrics = [_falling(s) for s in run.matching("metric/val/*")]
    course = [between(s, None, until) for s in (*lone_losses(run), *metrics)]
    gains = [g for s in course if math.isfinite(g := most_gained_at_end(rate, s))]
    soon = bool(until - rate.step[0] < EARLY * length(rate))
    return all(gain > RESTED for gain in gains) if gains else soon


def _falling(metric: Series) -> Series:
    """A metric turned so that it falls when all goes well."""
    sign = -1 if higher_is_better(metric.name) else 1
    return Series(metric.name, metric.step, sign * metric.value)
