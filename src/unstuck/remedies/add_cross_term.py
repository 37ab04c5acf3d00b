"""add-cross-term: let a loss compare the two modalities of a sample with each other.

## What it changes
A term between the embeddings of partners joins the loss: a contrastive one over the batch, or
similarity targets across the modalities beside those within each.

## What is expected
Partners come nearer than others do; search across modalities rises above chance.

## When it does not help
Where rows of the two modalities are not of the same sample (`use-shared-shuffling`). The distance
of partners alone, without anything that keeps others apart, makes all codes alike.

## Origin
- Zhang et al., Aggregation-Based Graph Convolutional Hashing for Unsupervised Cross-Modal
  Retrieval, 2022, <https://doi.org/10.1109/TMM.2021.3053766>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("COL005", safety="advice")
def add_cross_term(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
