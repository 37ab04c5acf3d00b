"""DAT001 unnormalised-input: the model is fed numbers far from unit scale.

## Why is this bad?
Initialisations and learning rates are made for inputs of about unit size. A hundred times larger
inputs make the first layer's gradients and outputs a hundred times larger: losses jump, units die.

## How it is detected
The root mean square of `activation/<model>.input` (from its mean and std) is above `LARGE` at the
start and at the end. Where activations by layer are known, the scale must also get into the model:
the median layer's first output is above `PASSED` in the same measure; a model that normalises for
itself is silent.

## Example
>>> from unstuck import Run
>>> def run(mean, std, layer):
...     return Run.of(**{"activation/net.input/mean": [mean] * 20,
...                      "activation/net.input/std": [std] * 20,
...                      "activation/net.conv1/mean": [0.0] * 20,
...                      "activation/net.conv1/std": [layer] * 20})
>>> [finding.message for finding in unnormalised_input(run(10.0, 8.0, 4.0))]
['inputs of net have mean 10 and standard deviation 8, since step 0']

## Look-alikes
Standardised images, pixels in 0..1, features of a few units, and a model that divides by 255 or
normalises itself:

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

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.layers import layers_of
from unstuck.signals.levels import median, start_level
from unstuck.signals.names import shown
from unstuck.signals.spans import last_span_beyond

LARGE = 10.0  # TO DERIVE
PASSED = 3.0  #


@detector(
    "DAT001",
    needs=("activation/*.input/mean", "activation/*.input/std"),
    explains=(
        "OPT001", "OPT003", "OPT004", "NUM001", "ACT001", "GRD001", "LOS001", "LOS002", "COL004",
    ),
)  # fmt: skip
def unnormalised_input(run: Run) -> Iterator[Finding]:
    for std in run.matching("activation/*.input/std"):
        model = std.name.split("/")[1].removesuffix(".input")
        mean = run.series.get(f"activation/{model}.input/mean")
        if mean is None:
            continue
        size = _size(mean, std)
        span = last_span_beyond(size, ">", LARGE)
        if not span or span[0] != size.step[0] or not _gets_in(run, model):
            continue
        yield Finding(
            "DAT001",
            where=model,
            message=(
                f"inputs of {shown(model)} have mean {median(mean):.3g} and standard deviation "
                f"{median(std):.3g}, since step {span[0]}"
            ),
            evidence=(Evidence(size, ">", LARGE, span),),
        )


def _size(mean: Series, std: Series) -> Series:
    """Root mean square, at the steps where both were read."""
    steps = np.intersect1d(mean.step, std.step)
    a, b = mean.value[np.isin(mean.step, steps)], std.value[np.isin(std.step, steps)]
    return Series(f"{std.name.removesuffix('std')}rms", steps, np.hypot(a, b))


def _gets_in(run: Run, model: str) -> bool:
    """Whether the layers' first outputs are large too; true where none were read."""
    stds = layers_of(run, "activation", "std").get(model, {})
    first = [start_level(s) for layer, s in stds.items() if layer != f"{model}.input"]
    return not first or float(np.median(first)) > PASSED
