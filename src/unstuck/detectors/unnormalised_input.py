"""DAT001 unnormalised-input: the model is fed numbers far from unit scale.

## Why is this bad?
Initialisations and learning rates are made for inputs of about unit size. A hundred times larger
inputs make the first layer's gradients and outputs a hundred times larger: losses jump, units die.

## How it is detected
The root mean square of `activation/<model>.input` (from its mean and std) is above `LARGE` from its
first reading to its last, and the first layer that is no mere reshaping puts out a standard
deviation above `PASSED`: a model that normalises first is silent. Where a later normalisation
stops the scale (the median layer is below `PASSED`) and the loss falls below `LEARNS` of its start,
the run copes and it is an *info*.

## Example
>>> from unstuck import Run
>>> def run(mean, std, first, later=4.0, end=0.9):
...     means = {f"activation/net.{n}/mean": [0.0] * 20 for n in "123"}
...     return Run.of(**{"activation/net.input/mean": [mean] * 20,
...                      "activation/net.input/std": [std] * 20,
...                      "activation/net.1/std": [first] * 20,
...                      "activation/net.2/std": [later] * 20,
...                      "activation/net.3/std": [later] * 20,
...                      "loss/train": [1.0] * 5 + [end] * 15})
>>> [(f.message, f.severity) for f in unnormalised_input(run(10.0, 8.0, 4.0))]
[('inputs of net have mean 10 and standard deviation 8, since step 0', 'warning')]
>>> [f.severity for f in unnormalised_input(run(10.0, 8.0, 4.0, later=1.0, end=0.6))]
['warning']
>>> [f.severity for f in unnormalised_input(run(10.0, 8.0, 4.0, later=2.5, end=0.4))]
['info']

## Look-alikes
Standardised images, pixels in 0..1, features of a few units, and a model that divides by 255 or
normalises first:

>>> unnormalised_input(run(0.0, 1.0, 0.6))
[]
>>> unnormalised_input(run(0.4, 0.3, 0.3))
[]
>>> unnormalised_input(run(7.0, 4.5, 4.0))
[]
>>> unnormalised_input(run(120.0, 75.0, 2.5))
[]

## What to try
`normalise-input`

## References
- LeCun et al., Efficient BackProp, section 4.3, 1998, <https://doi.org/10.1007/3-540-49430-8_2>
"""

import math
from collections.abc import Iterator
from itertools import dropwhile

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.align import together
from unstuck.signals.layers import layers_of
from unstuck.signals.levels import median, share_left, start_level
from unstuck.signals.names import shown
from unstuck.signals.spans import last_span_beyond

LARGE = 10.0  # healthy inputs were 0.2 to 1.3, raw pixels and raw signals 120 to 1900 (LOG.md)
PASSED = 3.0  # first layers of healthy models put out less than 1.5, of raw ones above 30 (LOG.md)
LEARNS = 0.5  # share of the loss left; with raw targets too, all of it was left (LOG.md)


@detector(
    "DAT001",
    needs=("activation/*.input/mean", "activation/*.input/std"),
    explains=(
        "INI001", "OPT001", "OPT003", "OPT004", "NUM001", "ACT001", "GRD001", "LOS001", "LOS002",
        "COL004",
    ),
)  # fmt: skip
def unnormalised_input(run: Run) -> Iterator[Finding]:
    for std in run.matching("activation/*.input/std"):
        model = std.name.split("/")[1].removesuffix(".input")
        mean = run.series.get(f"activation/{model}.input/mean")
        if mean is None:
            continue
        size, layers = _size(mean, std), _first_outputs(run, model, start_level(std))
        span = last_span_beyond(size, ">", LARGE)
        if not span or span[0] != size.step[0] or (layers and layers[0] <= PASSED):
            continue
        stopped = bool(layers) and float(np.median(layers)) <= PASSED
        learns = any(share_left(s) < LEARNS for s in run.matching("loss/*"))
        yield Finding(
            "DAT001",
            where=model,
            message=(
                f"inputs of {shown(model)} have mean {median(mean):.3g} and standard deviation "
                f"{median(std):.3g}, since step {span[0]}"
            ),
            evidence=(Evidence(size, ">", LARGE, span),),
            severity="info" if stopped and learns else "warning",
        )


def _size(mean: Series, std: Series) -> Series:
    """Root mean square, at the steps where both were read."""
    steps, (a, b) = together([mean, std])
    return Series(f"{std.name.removesuffix('std')}rms", steps, np.hypot(a, b))


def _first_outputs(run: Run, model: str, given: float) -> list[float]:
    """Standard deviations at the start by layer, without leading layers that only reshape."""
    series = layers_of(run, "activation", "std").get(model, {})
    outputs = [start_level(s) for layer, s in series.items() if layer != f"{model}.input"]
    return list(dropwhile(lambda value: math.isclose(value, given, rel_tol=1e-3), outputs))
