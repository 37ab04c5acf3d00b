"""ATT001 collapsed-attention: attention looks at one key each, whatever it learns.

## Why is this bad?
Where scores are so large that the softmax is a hard choice, its gradient is nothing: queries and
keys cannot learn where to look, and what is looked at is as it was drawn at the start.

## How it is detected
`attention/<model>.<layer>/entropy`, over that of looking at all permitted keys alike, stays below
`SHARP` to the end in more than `MOST` of a model's attention layers, for `LASTING` of the run and
`FOR_STEPS` steps at least, and no loss has fallen below `LEARNT` of its start. Maps that became so
later are an *info*: steps that are too large do it, too.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(*entropies, loss=2.6, n=300, since=0):
...     steps = np.arange(0, n, 2)
...     names = {f"attention/net.block{i}/entropy": np.where(steps < since, 0.9, e)
...              for i, e in enumerate(entropies)}
...     names["loss/loss"] = np.where(steps < 20, 2.9, loss)
...     return Run({k: Series(k, steps, v) for k, v in names.items()})
>>> [finding.message for finding in collapsed_attention(run(0.0004, 0.0, 0.3))]
['2 of 3 attention layers of net have looked at one key each since step 0; loss 0.9 of its start']

## Look-alikes
Sharp maps that are right (a copy needs them), one sharp layer among others, maps that are only
narrow, uniform ones, a loss that has come halfway, and a run that has just begun:

>>> collapsed_attention(run(0.0004, 0.0, loss=0.1)) + collapsed_attention(run(0.0, 0.9))
[]
>>> collapsed_attention(run(0.012, 0.012)) + collapsed_attention(run(1.0, 1.0))
[]
>>> collapsed_attention(run(0.0, 0.0, 0.9, 0.9, 0.9)) + collapsed_attention(run(0.0, loss=1.2))
[]
>>> collapsed_attention(run(0.0, n=160)) + collapsed_attention(run(0.0, since=360, n=600))
[]
>>> len(collapsed_attention(run(0.0, loss=1.8)) + collapsed_attention(run(0.0, since=200, n=600)))
2
>>> [f.severity for r in (run(0.008), run(0.0, since=40)) for f in collapsed_attention(r)]
['warning', 'info']

## What to try
`rescale-attention-scores`, `rescale-initialisation`, `use-warmup`

## References
- Zhai et al., Stabilizing Transformer Training by Preventing Attention Entropy Collapse, 2023,
  <https://arxiv.org/abs/2303.06296>
- Vaswani et al., Attention Is All You Need (section 3.2.1), 2017,
  <https://arxiv.org/abs/1706.03762>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.layers import layers_of
from unstuck.signals.levels import share_left
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, last_span_beyond, length

SHARP = 0.01  # of the most; maps that learnt from a sharp start had 0.017 or more (LOG.md)
MOST = 0.5  # share of the layers; a layer that copies may be as sharp and right (LOG.md)
LEARNT = 0.5  # share of the loss left; sick runs kept 0.8 or more, healthy ones 0.1 (LOG.md)
FOR_STEPS = 200  # steps; healthy models had learnt a copy by then (LOG.md)
LASTING = 0.5  # share of the run


@detector(
    "ATT001",
    needs=("attention/*/entropy", "loss/*"),
    explains=("OPT004", "OPT002", "GRD001", "GEN002"),
)
def collapsed_attention(run: Run) -> Iterator[Finding]:
    left = min((share_left(s) for s in run.matching("loss/*")), default=0.0)
    if not left > LEARNT:
        return
    for model, layers in layers_of(run, "attention", "entropy").items():
        sharp = []
        for entropy in map(finite, layers.values()):
            at_least = max(FOR_STEPS, LASTING * length(entropy))
            span = last_span_beyond(entropy, "<", SHARP, at_least=at_least)
            if span is not None:
                sharp.append(Evidence(entropy, "<", SHARP, span))
        if len(sharp) > MOST * len(layers):
            drawn = all(e.span[0] == e.series.step[0] for e in sharp)
            yield Finding(
                "ATT001",
                where=model,
                message=(
                    f"{len(sharp)} of {len(layers)} attention layers of {shown(model, 20)} have "
                    f"looked at one key each since step {max(e.span[0] for e in sharp)}; "
                    f"loss {left:.2g} of its start"
                ),
                evidence=tuple(sharp),
                severity="warning" if drawn else "info",
            )
