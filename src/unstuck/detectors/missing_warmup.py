"""OPT007 missing-warmup: full steps from the start threw the weights of a transformer away.

## Why is this bad?
An adaptive optimizer's first steps are the least trustworthy, its statistics rest on a few batches,
and a network that normalises after each sum has its largest gradients then. At full rate they move
it to where attention is the same everywhere and nothing is learned any more.

## How it is detected
All of this together: there is attention in the model (by the names of its layers or the settings),
an adaptive optimizer (by its class or the settings), a learning rate that is at `FULL` of its peak
or more from its first reading on, a loss whose highest reading in the first `EARLY` of the readings
is above `SURGE` times its first one and clear of its noise, and that ends above `LOST` times its
first one.

That warm-up is the cure is likely, not proven: a rate that is too high for every step gives the
same picture.

## Example
>>> from unstuck import Run
>>> def run(peak=3.1, end=2.29, rise=1.0, at=4, optimizer="AdamW", layer="attn.out", noise=0.0):
...     loss = [2.4] + [2.35] * 20 + [end + noise * (t * t % 7 - 3) for t in range(99)]
...     loss[at:at + 2] = [peak] * 2
...     return Run.of(loss__train=loss, lr__adam=[0.001 * rise] * 6 + [0.001] * 114,
...                   facts={"optimizer/adam": optimizer},
...                   **{f"grad_norm__adam__{layer}": [1.0] * 120})
>>> [finding.message for finding in missing_warmup(run())]
['loss/train rose from 2.4 to 3.1 by step 4 at full rate, lr/adam 0.001, and ends at 2.29']
>>> [bool(missing_warmup(r)) for r in (run(2.85), run(end=2.0), run(rise=0.94), run(at=12))]
[True, True, True, True]
>>> early = run().recipe | {"n_head": 4, "optimizer": "adam"}
>>> logged = Run(run(layer="fc").series, recipe=early)
>>> len(missing_warmup(logged))
1

## Look-alikes
A small surge, one that was made good, a late one, noise, a rate that rises, an optimizer that does
not adapt, and a model without attention:

>>> missing_warmup(run(2.7)) + missing_warmup(run(end=1.7)) + missing_warmup(run(at=18))
[]
>>> missing_warmup(run(noise=0.3)) + missing_warmup(run(rise=0.7))
[]
>>> missing_warmup(run(optimizer="SGD")) + missing_warmup(run(layer="fc"))
[]

## What to try
`use-warmup`, `clip-gradients`

## References
- Xiong et al., On Layer Normalization in the Transformer Architecture, 2020,
  <https://arxiv.org/abs/2002.04745>
- Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2020,
  <https://arxiv.org/abs/1908.03265>
"""

import re
from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import end_level, last_median
from unstuck.signals.names import shown
from unstuck.signals.noise import CLEAR, noise_scale
from unstuck.signals.rates import peak, rates
from unstuck.signals.spans import finite

SURGE = 1.15  # times the first reading; warmed up 1.06 at most, at full rate 1.25 up (LOG.md)
LOST = (
    0.75  # of the first reading at the end; warmed up 0.43 at most, at full rate 0.92 up (LOG.md)
)
EARLY = 0.125  # share of the readings; surges came within 2 % of them (LOG.md)
FULL = 0.9  # of the peak: a schedule that falls from its first step on has lost no more by then
ATTENTION = re.compile(r"attn|attention|transformer|n_?heads?\b|num_heads|\b(gpt|bert|vit|llama)")
ADAPTIVE = re.compile(r"adam|rmsprop|adagrad|adadelta|lamb|lion|adafactor|novograd")


@detector(
    "OPT007",
    needs=("loss/*", "lr/*"),
    sharpened_by=("optim*",),
    by_step=True,
    explains=("OPT001", "OPT004", "GRD001", "GEN002", "ATT001", "ATT002"),
)
def missing_warmup(run: Run) -> Iterator[Finding]:
    full = [r for r in rates(run) if peak(r) > 0 and r.value[0] >= FULL * peak(r)]
    if len(full) < len(rates(run)) or not (full and _has_attention(run) and _adapts(run)):
        return
    for series in lone_losses(run):
        clean = finite(series)
        if (at := _surge(clean)) is None:
            continue
        first, top, end = float(clean.value[0]), float(clean.value[at]), end_level(clean)
        if not end > LOST * first:
            continue
        step, last = int(clean.step[at]), int(clean.step[-1])
        yield Finding(
            "OPT007",
            where=full[0].name.split("/", 1)[1],
            message=(
                f"{shown(series.name, 20)} rose from {first:.3g} to {top:.3g} by step {step} at "
                f"full rate, {shown(full[0].name, 20)} {peak(full[0]):.2g}, and ends at {end:.3g}"
            ),
            evidence=(
                Evidence(clean, ">", SURGE * first, (step, step)),
                Evidence(last_median(clean), ">", LOST * first, (last, last)),
            ),
        )


def _surge(clean: Series) -> int | None:
    """The highest early reading of a positive loss, where it is far above the first one."""
    count = int(EARLY * len(clean))
    if count < 3 or not clean.value[0] > 0:
        return None
    at, first = int(np.argmax(clean.value[:count])), float(clean.value[0])
    noise = noise_scale(clean)
    above = clean.value[at] > max(SURGE * first, first + CLEAR * noise)
    return at if above else None


def _has_attention(run: Run) -> bool:
    settings = [f"{key} {value}" for key, value in run.recipe.items()]
    return any(ATTENTION.search(text.lower()) for text in (*run.series, *settings))


def _adapts(run: Run) -> bool:
    asked = [str(value) for key, value in run.recipe.items() if "optim" in key.lower()]
    known = [str(value) for value in run.facts_matching("optimizer/*").values()]
    return any(ADAPTIVE.search(name.lower()) for name in (*known, *asked))
