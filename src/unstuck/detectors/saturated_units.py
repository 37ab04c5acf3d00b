"""ACT002 saturated-units: a hidden layer's sigmoids or tanhs stay at their ends, without a slope.

## Why is this bad?
At its end the slope of a sigmoid or a tanh is next to nothing: the layer computes a step function,
and what lies before it gets no gradient to speak of.

## How it is detected
`activation/<model>.<layer>/saturated_fraction`, the share of outputs within a hundredth of the
range from an end, stays above `SATURATED` to the end of the run, for at least `FOR_STEPS` steps.
It is a *warning* where it was so from the start and no loss has fallen below `LEARNS` of its start;
else an *info*: units that go to their ends while a network learns may well belong there. One
finding a model, for the layer that went first. Outputs of a model are not looked at.

## Example
>>> from unstuck import Run
>>> def saturated(shares, end=2.2):
...     return Run.of(**{"activation/net.1/saturated_fraction": shares},
...                   loss__train=[2.3] * 10 + [end] * 90)
>>> [(finding.message, finding.severity) for finding in saturated_units(saturated([0.97] * 80))]
[('97% of the outputs of net.1 have been at the ends of their range since step 0', 'warning')]
>>> [finding.severity for finding in saturated_units(saturated([0.97] * 100, end=1.3))]
['warning']

## Look-alikes
Gates and codes of which some are at their ends, a stretch that may still pass, one that did pass,
units that went there in training, and a network that has learned what it was asked:

>>> saturated_units(saturated([0.8] * 100))
[]
>>> saturated_units(saturated([0.97] * 50))
[]
>>> saturated_units(saturated([0.97] * 80 + [0.3] * 20))
[]
>>> [finding.severity for finding in saturated_units(saturated([0.3] * 20 + [0.97] * 80))]
['info']
>>> [finding.severity for finding in saturated_units(saturated([0.97] * 100, end=0.9))]
['info']

## What to try
`rescale-initialisation`, `normalise-input`, `lower-learning-rate`

## References
- Glorot & Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks,
  2010, <https://proceedings.mlr.press/v9/glorot10a.html>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.layers import layers_of
from unstuck.signals.levels import share_left
from unstuck.signals.names import shown
from unstuck.signals.spans import last_span_beyond

SATURATED = 0.9  # share of the outputs; layers without a slope had 0.93 up (LOG.md)
FOR_STEPS = 60  # three looks at the layers, as for dead units
LEARNS = 0.5  # share of the loss left; layers without a slope left 0.6 or more (LOG.md)


@detector(
    "ACT002",
    needs=("activation/*/saturated_fraction",),
    explains=("COL004", "GEN002", "GRD001", "LOS002", "OPT002", "OPT004"),
)
def saturated_units(run: Run) -> Iterator[Finding]:
    learns = any(share_left(s) < LEARNS for s in run.matching("loss/*"))
    for layers in layers_of(run, "activation", "saturated_fraction").values():
        spans = {
            layer: span
            for layer, series in layers.items()
            if (span := last_span_beyond(series, ">", SATURATED, at_least=FOR_STEPS))
        }
        if not spans:
            continue
        worst = min(spans, key=lambda layer: spans[layer][0])
        from_start = spans[worst][0] == layers[worst].step[0]
        others = f", and of {len(spans) - 1} more layers," if len(spans) > 1 else ""
        yield Finding(
            "ACT002",
            where=worst,
            message=(
                f"{layers[worst].value[-1]:.0%} of the outputs of {shown(worst, 24)}{others} "
                f"have been at the ends of their range since step {spans[worst][0]}"
            ),
            evidence=(Evidence(layers[worst], ">", SATURATED, spans[worst]),),
            severity="warning" if from_start and not learns else "info",
        )
