"""ATT002 oversmoothed-tokens: with depth, all tokens of a sample become one.

## Why is this bad?
Attention averages. Without paths around it that carry what is particular, tokens come together from
block to block; what is alike cannot be told apart by any later layer, and nothing is learnt.

## How it is detected
The mean cosine between the tokens of a sample where a block ends,
`tokens/<model>.<block>/similarity`, stays above `ALIKE` to the end, for `LASTING` of the run and
`FOR_STEPS` steps at least, though the tokens that entered the first block (`<block>.input`) are
below `DISTINCT`; and no loss has fallen below `LEARNT` of its start. The first such block is named.
Depth does it from the first step on; tokens that came together later are an *info*, for steps too
large or other illnesses of training do that.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(*alike, loss=2.7, n=300, since=0, first=0.05):
...     steps = np.arange(0, n, 2)
...     names = {f"tokens/net.block{i}/similarity": np.where(steps < since, 0.2, a)
...              for i, a in enumerate(alike)}
...     names["tokens/net.block0.input/similarity"] = 0.0 * steps + first
...     names["loss/loss"] = np.where(steps < 20, 2.9, loss)
...     return Run({k: Series(k, steps, v) for k, v in names.items()})
>>> [finding.message for finding in oversmoothed_tokens(run(0.7, 0.998, 1.0))]
['tokens of net.block1 have had a mean cosine of 0.998 since step 0 (0.05 at first); loss
0.93 of its start']

## Look-alikes
Tokens that come together because their mean is all that is asked for, tokens that were alike
before, those that share a direction only, a loss that has come halfway, and a run just begun:

>>> oversmoothed_tokens(run(0.7, 0.998, loss=0.1)) + oversmoothed_tokens(run(0.998, first=0.95))
[]
>>> oversmoothed_tokens(run(0.7, 0.9)) + oversmoothed_tokens(run(0.7, 0.998, loss=1.2))
[]
>>> oversmoothed_tokens(run(0.998, n=160)) + oversmoothed_tokens(run(0.998, since=360, n=600))
[]
>>> len(oversmoothed_tokens(run(0.998, loss=1.8)) + oversmoothed_tokens(run(0.998, first=0.7)))
2
>>> [finding.severity for finding in oversmoothed_tokens(run(0.998, since=200, n=600))]
['info']

## What to try
`add-residual-connections`

## References
- Dong, Cordonnier & Loukas, Attention Is Not All You Need: Pure Attention Loses Rank Doubly
  Exponentially with Depth, 2021, <https://arxiv.org/abs/2103.03404>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.codes import lasts_above
from unstuck.signals.layers import layers_of
from unstuck.signals.levels import end_level, median, share_left
from unstuck.signals.names import shown
from unstuck.signals.spans import between, finite

ALIKE = 0.99  # mean cosine; sick blocks came to 0.999, healthy ones that learn to 0.9 (LOG.md)
DISTINCT = 0.9  # mean cosine; words and rows entered at 0.84 or less (LOG.md)
LEARNT = 0.5  # share of the loss left; sick runs kept 0.7 or more, healthy ones 0.1 (LOG.md)
FOR_STEPS = 200  # steps; healthy models had learnt by then (LOG.md)
LASTING = 0.5  # share of the run


@detector(
    "ATT002",
    needs=("tokens/*/similarity", "loss/*"),
    explains=("OPT004", "OPT002", "GRD001", "GEN002", "ATT001"),
)
def oversmoothed_tokens(run: Run) -> Iterator[Finding]:
    left = min((share_left(s) for s in run.matching("loss/*")), default=0.0)
    if not left > LEARNT:
        return
    for blocks in layers_of(run, "tokens", "similarity").values():
        entering = [median(s) for name, s in blocks.items() if name.endswith(".input")]
        if not entering or not entering[0] < DISTINCT:
            continue
        found = [
            (name, series, span)
            for name, series in ((n, finite(s)) for n, s in blocks.items())
            if not name.endswith(".input")
            and (span := lasts_above(series, ALIKE, FOR_STEPS, LASTING)) is not None
        ]
        found.sort(key=lambda block: block[2][0] != block[1].step[0])  # from the start on: first
        for name, series, span in found[:1]:
            level = end_level(between(series, *span))
            yield Finding(
                "ATT002",
                where=name,
                message=(
                    f"tokens of {shown(name, 20)} have had a mean cosine of {level:.3g} since "
                    f"step {span[0]} ({entering[0]:.1g} at first); loss {left:.2g} of its start"
                ),
                evidence=(Evidence(series, ">", ALIKE, span),),
                severity="warning" if span[0] == series.step[0] else "info",
            )
