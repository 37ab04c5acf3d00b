"""use-summed-reconstruction: sum both terms of the bound over a sample, or average both.

## What it changes
The reconstruction is summed over pixels (or both terms are divided by their number), so that their
ratio is that of the bound and not hundreds of times another.

## What is expected
The code carries some nats a sample, and the reconstruction improves.

## When it does not help
Where the two are in the same units already: then the decoder may do without the code.

## Origin
- Kingma & Welling, Auto-Encoding Variational Bayes, 2014, <https://arxiv.org/abs/1312.6114>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("COL007", safety="advice")
def use_summed_reconstruction(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
