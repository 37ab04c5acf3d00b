"""ACT001 dead-units: nearly all units of a layer are silent for every sample, to the end.

## Why is this bad?
A ReLU unit that is zero for the whole batch receives no gradient, so it cannot come back: the
layer works with the few units that are left.

## How it is detected
`activation/<model>.<layer>/dead_fraction` stays above `DEAD` for at least `FOR_STEPS` steps, up to
the last reading. One finding a model, for the layer that died first; where one layer is silent
altogether, those around it get no gradient either and are only counted.

## Example
>>> from unstuck import Run
>>> conv1 = [0.5] * 20 + [0.97] * 80
>>> run = Run.of(**{"activation/net.conv1/dead_fraction": conv1,
...                 "activation/net.fc/dead_fraction": [0.0] * 100})
>>> [finding.message for finding in dead_units(run)]
['97% of the units of net.conv1 have been silent since step 20']

## Look-alikes
A layer that is sparse on purpose, a stretch that may still heal, and one that did heal:

>>> dead_units(Run.of(**{"activation/net.conv1/dead_fraction": [0.8] * 100}))
[]
>>> dead_units(Run.of(**{"activation/net.conv1/dead_fraction": [0.5] * 50 + [0.97] * 50}))
[]
>>> dead_units(Run.of(**{"activation/net.conv1/dead_fraction": [0.97] * 80 + [0.5] * 20}))
[]

A loss that is satisfied (a hinge, a margin) sends no gradient to anything; no unit died:

>>> dead_units(Run.of(**{"activation/net.conv1/dead_fraction": [0.5] * 20 + [1.0] * 80,
...                      "grad_norm/sgd": [1.0] * 20 + [0.0] * 80}))
[]

## What to try
`lower-learning-rate`, `clip-gradients`, `use-leaky-activation`, `rescale-initialisation`

## References
- Lu et al., Dying ReLU and Initialization, 2019, <https://arxiv.org/abs/1903.06733>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.layers import layers_of
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import last_span_beyond

DEAD = 0.9  # share of units; layers of healthy networks had 0.4 or less, killed ones 1.0 (LOG.md)
FOR_STEPS = 60  # three looks at the layers; shorter stretches healed by themselves (LOG.md)


@detector(
    "ACT001",
    needs=("activation/*/dead_fraction",),
    explains=("OPT003", "OPT004", "GRD001", "COL004", "LOS002"),
)
def dead_units(run: Run) -> Iterator[Finding]:
    totals = [s for s in run.matching("grad_norm/*") if s.name.count("/") == 1]
    if totals and not any(end_level(s) > 0 for s in totals):
        return
    for layers in layers_of(run, "activation", "dead_fraction").values():
        spans = {
            layer: span
            for layer, series in layers.items()
            if (span := last_span_beyond(series, ">", DEAD, at_least=FOR_STEPS))
        }
        if not spans:
            continue
        worst = min(spans, key=lambda layer: spans[layer][0])
        others = f", and of {len(spans) - 1} more layers" if len(spans) > 1 else ""
        yield Finding(
            "ACT001",
            where=worst,
            message=(
                f"{layers[worst].value[-1]:.0%} of the units of {shown(worst)}{others} "
                f"have been silent since step {spans[worst][0]}"
            ),
            evidence=(Evidence(layers[worst], ">", DEAD, spans[worst]),),
        )
