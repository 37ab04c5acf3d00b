"""GRD001 vanishing-gradients: gradients shrink by orders of magnitude on their way to the input.

## Why is this bad?
The early layers hardly move, so the later ones learn from features that stay random.

## How it is detected
For every model with at least `DEEP` layers, by `grad_norm/<optimizer>/<model>.<layer>` in order
of depth: the ratio of the first third of the layers to the last third stays below `FAINT` for the
last `LASTING` of the run, and the norms fall towards the input as a whole (rank correlation with
depth above `ORDERED`).

## Example
>>> from unstuck import Run
>>> def by_layer(norms, healthy=30):
...     return Run.of(**{f"grad_norm/sgd/net.{i}": [1e-2] * healthy + [norm] * (100 - healthy)
...                      for i, norm in enumerate(norms)})
>>> faint = [7e-6, 4e-5, 6e-4, 4e-3, 1e-2]
>>> [finding.message for finding in vanishing_gradients(by_layer(faint))]
['gradients at net.0 are 0.0007 times those at net.4, shrinking layer by layer since step 32']

## Look-alikes
Gradients that shrink less, a start that heals, a model of a few layers, and norms that differ but
not by depth (one layer behind a gate that is nearly closed):

>>> vanishing_gradients(by_layer([1.2e-5, 4e-5, 6e-4, 4e-3, 1e-2]))
[]
>>> vanishing_gradients(by_layer(faint, healthy=45))
[]
>>> vanishing_gradients(by_layer([1e-6, 1e-4, 1e-2]))
[]
>>> vanishing_gradients(by_layer([7e-6, 9e-3, 4e-3, 5e-3, 1e-2]))
[]

## What to try
`normalise-layers`, `add-residual-connections`, `rescale-initialisation`

## References
- Glorot & Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks,
  2010, <https://proceedings.mlr.press/v9/glorot10a.html>
- Hochreiter et al., Gradient Flow in Recurrent Nets, 2001
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.align import together
from unstuck.signals.depth import tau, thirds
from unstuck.signals.layers import layers_of
from unstuck.signals.names import shown
from unstuck.signals.spans import last_span_beyond, length
from unstuck.signals.windows import in_windows

FAINT = 1e-3  # healthy networks of 4 to 12 layers had 0.15 to 5, deep sigmoids 8e-6 (LOG.md)
DEEP = 4  # layers; an order of 4 comes about by chance in 1 of 24
ORDERED = 0.7  # Kendall's tau; 1 where every layer's norm is below the next one's
LASTING = 0.6  # share of the run; starts that heal do so within a fifth (LOG.md)


@detector("GRD001", needs=("grad_norm/*/*",), explains=("OPT004",))
def vanishing_gradients(run: Run) -> Iterator[Finding]:
    for model, series in layers_of(run, "grad_norm").items():
        layers = [s for s in series.values() if np.any(s.value > 0)]
        if len(layers) < DEEP:
            continue
        steps, norms = together(layers)
        if not steps.size:  # never read at one step: trained by one optimizer after another
            continue
        ratio = in_windows(Series("first/last third of grad_norm", steps, thirds(norms)))
        span = last_span_beyond(ratio, "<", FAINT, at_least=LASTING * length(ratio))
        order = tau(np.median(norms, axis=1))
        if span and order > ORDERED:
            first, last = (shown(s.name.rsplit("/", 1)[1], 20) for s in (layers[0], layers[-1]))
            yield Finding(
                "GRD001",
                where=model,
                message=(
                    f"gradients at {first} are {ratio.value[-1]:.1g} times those at {last}, "
                    f"shrinking layer by layer since step {span[0]}"
                ),
                evidence=(Evidence(ratio, "<", FAINT, span),),
            )
