"""normalise-input: bring inputs to about zero mean and unit standard deviation.

## What it changes
`input/<model>`: what the model is called with gets mean 0 and standard deviation 1 by channel or
feature, by the first batch; where the finding is not about inputs, only if they are far from that
scale. In the script: the data pipeline subtracts the mean and divides by the standard deviation of
the training set; images at least `/ 255`. The same numbers are used for validation and at use.

## What is expected
The first loss drops to the usual size, the first layers put out values of about one, and the usual
learning rates work.

## When it does not help
Where the scale carries meaning between samples and is normalised by sample; where the first layer
is itself a normalisation.

## Origin
- LeCun et al., Efficient BackProp, section 4.3, 1998, <https://doi.org/10.1007/3-540-49430-8_2>
- Far from the scale: of 696 inputs of our healthy runs nineteen of twenty had a standard deviation
  below 1.1 (LOG.md).

>>> from unstuck import Finding, Run
>>> run = Run.of(facts={"parameters/net": 9})
>>> [t.changes for t in normalise_input(run, Finding("DAT001", "net", "", ()))]
[{'input/net': 'standardised'}]
>>> normalise_input(run, Finding("OPT001", "adam", "", ()))
[]
"""

from collections.abc import Iterator
from math import hypot

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import models, part
from unstuck.signals.levels import start_level

LARGE = 3.0  # root mean square; below it inputs are not what is wrong


@remedy("ACT002", "DAT001", "OPT001", "OPT003", "DAT002", safety="changes-training")
def normalise_input(run: Run, finding: Finding) -> Iterator[Treatment]:
    if finding.code in ("DAT001", "DAT002"):
        chosen = [part(run, finding.where).split(".")[0]]
    else:
        chosen = [name for name in models(run) if _size(run, name) > LARGE]
    if any(chosen):
        yield Treatment(
            name=f"inputs of {' and '.join(chosen)} standardised",
            remedy="normalise-input",
            changes={f"input/{name}": "standardised" for name in chosen},
            expectation="the loss begins at its usual size, falls, and ends lower",
            answers=(finding.code,),
        )


def _size(run: Run, model: str) -> float:
    """Root mean square of the inputs; 0 where they were not read."""
    read = [run.series.get(f"activation/{model}.input/{what}") for what in ("mean", "std")]
    return hypot(*(start_level(s) for s in read if s is not None))
