"""use-free-bits: let every dimension of a code say a little without being charged for it.

## What it changes
`max(KL_d, free)` in place of `KL_d` for every dimension, averaged over the batch first, with some
0.1 to 0.5 nats; or the weight of the divergence rises from zero over the first part of training.

## What is expected
Some dimensions vary from sample to sample, and the reconstruction improves.

## When it does not help
Where the divergence is summed and the reconstruction averaged (`use-summed-reconstruction`), or
where the decoder sees enough of the answer to need no code.

## Origin
- Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016,
  <https://arxiv.org/abs/1606.04934>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("COL007", safety="advice")
def use_free_bits(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
