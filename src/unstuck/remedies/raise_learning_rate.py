"""raise-learning-rate: take larger steps.

## What it changes
The learning rate times 3, or times 10 where each step moves the weights by less than 1e-4 of
themselves.

## What is expected
A loss that is flat because the steps are too short begins to fall.

## When it does not help
Where the loss is flat because nothing can be gained: dead layers, a collapsed latent, wrong labels.
There it makes things worse.

## Origin
- Smith, Cyclical Learning Rates for Training Neural Networks (range test), 2017,
  <https://arxiv.org/abs/1506.01186>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("GRD003", "OPT002", "OPT004", safety="advice")
def raise_learning_rate(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
