"""use-pairs-of-own-noise: train on answers whose noise has nothing to do with the input's.

## What it changes
The two pictures of a pair come from different acquisitions (other frames, other repetitions), or
the answer is clean, or pixels are hidden from the network where they are the answer.

## What is expected
The loss rises to the noise of the answers, which cannot be predicted any more; the share of fresh
noise that comes out again falls to what the pictures' own detail demands.

## When it does not help
Where the pictures themselves are as rough as the noise: nothing then tells one from the other.

## Origin
- Lehtinen et al., Noise2Noise, 2018, <https://arxiv.org/abs/1803.04189>
- Batson & Royer, Noise2Self, 2019, <https://arxiv.org/abs/1901.11365>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("SKP004", safety="advice")
def use_pairs_of_own_noise(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
