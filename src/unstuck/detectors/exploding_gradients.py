"""GRD002 exploding-gradients: gradients grow by orders of magnitude on their way to the input.

## Why is this bad?
One learning rate cannot suit layers whose gradients differ a hundredfold: where the last layers
learn, the first ones are thrown about, and what they compute changes under all the others.

## How it is detected
For every model with at least `DEEP` layers, by `grad_norm/<optimizer>/<model>.<layer>` in order of
depth: at each of the first readings the first third of the layers lies above the last third by more
than `STEEP` times, and the norms grow towards the input as a whole (rank correlation with depth
beyond `ORDERED`). It is a *warning*; where the loss falls below `LEARNS` of its start all the
same, an *info*.

## Example
>>> from unstuck import Run
>>> def by_layer(*norms, start=30, end=2.2):
...     return Run.of(loss__train=[2.3] * 10 + [end] * 20,
...                   **{f"grad_norm/sgd/net.{i}": [norm] * start + [1.0] * (30 - start)
...                      for i, norm in enumerate(norms)})
>>> steep = [60.0, 20.0, 5.0, 1.0, 0.1]
>>> [(finding.message, finding.severity) for finding in exploding_gradients(by_layer(*steep))]
[('gradients at net.0 are 6e+02 times those at net.4, growing towards the input from step 0',
'warning')]
>>> [f.severity for f in exploding_gradients(by_layer(13.0, 9.0, 5.0, 1.0, 0.1, end=1.3))]
['warning']

## Look-alikes
Gradients that grow less, a start that heals within some steps (gates that open), a model of a few
layers, and a network that learns, and embeddings of small numbers below layers that are all alike:

>>> exploding_gradients(by_layer(60.0, 0.2, 5.0, 1.0, 0.1))
[]
>>> exploding_gradients(by_layer(8.0, 5.0, 3.0, 1.0, 0.1))
[]
>>> exploding_gradients(by_layer(*steep, start=4))
[]
>>> exploding_gradients(by_layer(60.0, 5.0, 0.1))
[]
>>> [f.severity for f in exploding_gradients(by_layer(*steep, end=0.9))]
['info']

## What to try
`rescale-initialisation`, `add-residual-connections`, `clip-gradients`

## References
- Pascanu et al., On the Difficulty of Training Recurrent Neural Networks, 2013,
  <https://arxiv.org/abs/1211.5063>
- Yang et al., A Mean Field Theory of Batch Normalization (gradients explode with depth), 2019,
  <https://arxiv.org/abs/1902.08129>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.depth import first_over_last
from unstuck.signals.layers import layers_of
from unstuck.signals.levels import FIRST, share_left
from unstuck.signals.names import shown

STEEP = 100.0  # times; healthy networks of 4 to 60 layers had up to 22, sick ones 420 up (LOG.md)
DEEP = 4  # layers
ORDERED = 0.7  # Kendall's tau; exploding ones had 0.8 and 0.95, a GPT-2 that starts 0.43 (LOG.md)
LEARNS = 0.5  # share of the loss left; networks that did not get over it kept 0.85 up (LOG.md)


@detector(
    "GRD002",
    needs=("grad_norm/*/*",),
    explains=("GEN002", "NUM001", "OPT001", "OPT003", "OPT004", "OPT005", "OPT007"),
)
def exploding_gradients(run: Run) -> Iterator[Finding]:
    learns = any(share_left(s) < LEARNS for s in run.matching("loss/*"))
    for model, series in layers_of(run, "grad_norm").items():
        layers = [s for s in series.values() if np.any(s.value > 0)]
        if len(layers) < DEEP:
            continue
        ratio, order = first_over_last(layers, "first/last third of grad_norm")
        start = Series(ratio.name, ratio.step[:FIRST], ratio.value[:FIRST])
        if len(start) < 2 or order > -ORDERED or not np.all(start.value > STEEP):
            continue
        first, last = (shown(s.name.rsplit("/", 1)[1], 18) for s in (layers[0], layers[-1]))
        yield Finding(
            "GRD002",
            where=model,
            message=(
                f"gradients at {first} are {np.median(start.value):.1g} times those at {last}, "
                f"growing towards the input from step {start.step[0]}"
            ),
            evidence=(Evidence(start, ">", STEEP, (int(start.step[0]), int(start.step[-1]))),),
            severity="info" if learns else "warning",
        )
