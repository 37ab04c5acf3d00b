"""INI002 drifting-activation-scale: activations grow or shrink from layer to layer at the start.

## Why is this bad?
A factor that each layer multiplies by is raised to the power of the depth. Signals that shrink are
gone before the last layer; signals that grow make losses and steps of any size. Either way the
first updates say nothing about the data.

## How it is detected
For every model with at least `DEEP` layers, by `activation/<model>.<layer>/std` in order of depth:
at the first readings the first third of the layers differs from the last third by more than
`DRIFT` times, and the layers are in order (Kendall's tau with depth beyond `ORDERED`).

## Example
>>> from unstuck import Run
>>> def layers(*spreads, later=None):
...     return Run.of(**{f"activation/net.{i}/std": [s] * 5 + [later or s] * 25
...                      for i, s in enumerate(spreads)})
>>> shrinking = [1.0, 0.2, 0.04, 0.008, 1.6e-3, 7e-4, 1e-4]
>>> [finding.message for finding in drifting_activation_scale(layers(*shrinking))]
['activations of net shrink 1.5e+03 times from net.0 to net.6 at step 0']
>>> growing = [1.0, 4.0, 16.0, 130.0, 260.0, 5e3, 1e4]
>>> [finding.message for finding in drifting_activation_scale(layers(*growing))]
['activations of net grow 3e+03 times from net.0 to net.6 at step 0']
>>> unordered = [1.0, 0.04, 0.2, 0.008, 1e-4, 7e-4, 1.6e-4]
>>> len(drifting_activation_scale(layers(*unordered)))
1

## Look-alikes
A spread that is lost layer by layer but slowly, a small head on layers of one scale, large and
small layers that take turns, and a network of a few layers:

>>> drifting_activation_scale(layers(1.0, 0.2, 0.04, 0.008, 3e-3, 1.2e-3, 4e-4))
[]
>>> drifting_activation_scale(layers(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1e-5))
[]
>>> drifting_activation_scale(layers(1.0, 1.0, 4e-4, 0.3, 1.0, 1e-4, 1e-4))
[]
>>> drifting_activation_scale(layers(1.0, 0.2, 0.04, 1e-4, 1e-5))
[]

## What to try
`rescale-initialisation`, `normalise-layers`

## References
- Glorot & Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks,
  2010, <https://proceedings.mlr.press/v9/glorot10a.html>
- He et al., Delving Deep into Rectifiers, 2015, <https://arxiv.org/abs/1502.01852>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.depth import first_over_last
from unstuck.signals.layers import layers_of
from unstuck.signals.names import shown

DRIFT = 1e3  # times; healthy networks of 6 to 60 layers stayed within 20, sick ones 7e3 up (LOG.md)
DEEP = 6  # layers, activations counted; an order of six comes about by chance in 1 of 700
ORDERED = (
    0.6  # Kendall's tau; healthy ones up to 0.9 by their small heads, sick ones 0.9 up (LOG.md)
)


@detector(
    "INI002",
    needs=("activation/*/std",),
    explains=("ACT001", "GEN002", "GRD001", "INI001", "OPT001", "OPT003", "OPT004", "NUM001"),
)
def drifting_activation_scale(run: Run) -> Iterator[Finding]:
    for model, series in layers_of(run, "activation", "std").items():
        layers = {n: s for n, s in series.items() if not n.endswith(".input") and len(s) > 1}
        if len(layers) < DEEP:
            continue
        ratio, order = first_over_last(list(layers.values()), "first/last third of std")
        start = float(ratio.value[0]) if len(ratio) else np.nan
        shrinks = start > DRIFT and order < -ORDERED
        grows = 0 < start < 1 / DRIFT and order > ORDERED
        if not (shrinks or grows):
            continue
        times, step = start if shrinks else 1 / start, int(ratio.step[0])
        names = list(layers)
        yield Finding(
            "INI002",
            where=model,
            message=(
                f"activations of {shown(model, 16)} {'shrink' if shrinks else 'grow'} {times:.2g} "
                f"times from {shown(names[0], 20)} to {shown(names[-1], 20)} at step {step}"
            ),
            evidence=(
                Evidence(ratio, ">", DRIFT, (step, step))
                if shrinks
                else Evidence(ratio, "<", 1 / DRIFT, (step, step)),
            ),
        )
