"""use-class-weights: let a rare sample count for more, or let it come more often.

## What it changes
`weight=` or `pos_weight=` of the loss, inverse to the share of each class; or a sampler that draws
classes equally often; or the threshold at which a class is named.

## What is expected
Samples of the rare classes are named; accuracy falls a little, and balanced accuracy rises a lot.

## When it does not help
Where probabilities are what is wanted: weights bend them. And where the rare class cannot be told
from the inputs.

## Origin
- Buda, Maki & Mazurowski, A Systematic Study of the Class Imbalance Problem in Convolutional Neural
  Networks, 2018, <https://arxiv.org/abs/1710.05381>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("DAT006", safety="advice")
def use_class_weights(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
