"""use-causal-mask: hide from each place what it has to predict, and shift targets by one.

## What it changes
Attention gets a mask that is closed above the diagonal (`is_causal=True`), recurrent layers read in
one direction, convolutions are padded on the left; targets are the input from its second token on.

## What is expected
The loss rises to an honest level, and what the model writes makes sense.

## When it does not help
Where the target is meant to be the input (autoencoders) or hidden words are asked for.

## Origin
- Vaswani et al., Attention Is All You Need (section 3.2.3), 2017,
  <https://arxiv.org/abs/1706.03762>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("SEQ003", safety="advice")
def use_causal_mask(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
