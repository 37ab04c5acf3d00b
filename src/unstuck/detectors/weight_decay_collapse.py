"""OPT014 weight-decay-collapse: weights decay to nothing while the loss learns nothing.

## Why is this bad?
Decay that takes more from a weight in each step than the gradient gives it leaves a network that
says the same for every input. The gradient through a layer of almost no weights is almost none, so
it does not come back.

## How it is detected
`weight_decay/<optimizer>` is above 0, some `weight_norm/<optimizer>/<layer>` ends below `GONE` of
the largest norm it had, and every loss ends above `LEFT` of its start. Losses of games are left
out. The loss is what counts: below a normalisation weights may shrink without any harm.

## Example
>>> from unstuck import Run
>>> def run(end=0.07, loss=2.3, decay=0.1):
...     norms = [5 * end ** (t / 80) for t in range(80)] + [5 * end] * 20
...     return Run.of(**{"weight_norm/sgd/net.a": norms, "weight_norm/sgd/net.b": [3.0] * 100,
...                      "weight_decay/sgd": [decay] * 100, "loss/train": [2.3] * 20 + [loss] * 80})
>>> [finding.message for finding in weight_decay_collapse(run())]
['weights of net.a have decayed to 7% of their norm under a weight decay of 0.1']
>>> [finding.where for finding in weight_decay_collapse(run(loss=1.9))]
['sgd']

## Look-alikes
Weights that shrink while the network learns, ones that settle lower, and ones nothing decays:

>>> weight_decay_collapse(run(loss=1.5)) + weight_decay_collapse(run(end=0.12))
[]
>>> weight_decay_collapse(run(decay=0.0))
[]

## What to try
`lower-weight-decay`

## References
- Krogh & Hertz, A Simple Weight Decay Can Improve Generalization, 1992,
  <https://papers.nips.cc/paper/1991>
- Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019,
  <https://arxiv.org/abs/1711.05101>
- van Laarhoven, L2 Regularization versus Batch and Weight Normalization, 2017,
  <https://arxiv.org/abs/1706.05350>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import end_level, share_left
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, last_span_beyond

GONE = 0.1  # of the largest norm; collapsed layers end at 0.00, healthy ones at 0.25 up (LOG.md)
LEFT = 0.8  # of the start; with collapsed weights 0.99 up, under strong decay that learns 0.6


@detector(
    "OPT014",
    needs=("weight_norm/*", "weight_decay/*", "loss/*"),
    explains=("OPT004", "GEN002", "GRD001", "COL004", "ACT001", "GRD005"),
)
def weight_decay_collapse(run: Run) -> Iterator[Finding]:
    losses = lone_losses(run)
    if not losses or not all(share_left(s) > LEFT for s in losses):
        return
    for decay in run.matching("weight_decay/*"):
        name = decay.name.split("/", 1)[1]
        layers = [finite(s) for s in run.matching(f"weight_norm/{name}/*")]
        gone = {s.name: s for s in layers if _share(s) < GONE}
        if not np.all(decay.value > 0) or not gone:
            continue
        worst = min(gone.values(), key=_share)
        limit = GONE * float(worst.value.max())
        span = last_span_beyond(worst, "<", limit)
        if span is None:
            continue
        others = f" and {len(gone) - 1} more layers" if len(gone) > 1 else ""
        layer = worst.name.rsplit("/", 1)[1]
        yield Finding(
            "OPT014",
            where=name,
            message=(
                f"weights of {shown(layer, 24)}{others} have decayed to {_share(worst):.0%}"
                f" of their norm under a weight decay of {end_level(decay):.3g}"
            ),
            evidence=(
                Evidence(worst, "<", limit, span),
                Evidence(decay, ">", 0.0, (int(decay.step[0]), int(decay.step[-1]))),
            ),
        )


def _share(series: Series) -> float:
    """The norm at the end over the largest one; 1 where there is none to compare."""
    top = float(np.max(series.value, initial=0.0))
    return float(series.value[-1]) / top if len(series) > 1 and top > 0 else 1.0
