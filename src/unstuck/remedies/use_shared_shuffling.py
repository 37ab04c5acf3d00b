"""use-shared-shuffling: draw both modalities of a batch with the same indices.

## What it changes
One data set returns both parts of a sample, and one loader shuffles it; sampling, dropping and
sorting happen to pairs, never to one side.

## What is expected
Row i of both embeddings is of the same sample, and partners can be told from others.

## When it does not help
Where pairs are right and the loss never compares them (`add-cross-term`).

## Origin
- Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021,
  <https://arxiv.org/abs/2103.00020>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("COL005", safety="advice")
def use_shared_shuffling(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
