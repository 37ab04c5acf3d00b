"""overfit-one-batch: train on one fixed batch, without augmentation, until it is learned.

## What it changes
For a test only: the loader gives the same batch at every step.

## What is expected
A sound model and loss bring the loss of one batch near zero. If they do not, look for the fault in
model, loss or labels; if they do, in data, schedule or capacity.

## When it does not help
It finds no fault by itself and says nothing about generalisation.

## Origin
- Goodfellow, Bengio & Courville, Deep Learning, 2016, section 11.5,
  <https://www.deeplearningbook.org>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("GEN002", "OPT004", safety="advice")
def overfit_one_batch(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
