"""use-data-parallel-wrapper: let one mechanism keep the ranks' copies of a model the same.

## What it changes
Wrap the model in DistributedDataParallel after it has its final weights, and call the wrapper, not
`model.module`, in training. Give the wrapper's parameters to the optimizer. Load a checkpoint and
change a weight by hand on every rank alike, or on rank 0 before the model is wrapped.

## What is expected
The copies are bitwise the same, `replica_gap` is zero; each step uses the data of all ranks.

## When it does not help
Where the copies are meant to differ between rounds of averaging, or each rank trains a model of its
own.

## Origin
- PyTorch, Distributed Data Parallel, <https://docs.pytorch.org/docs/stable/notes/ddp.html>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("DST001", safety="advice")
def use_data_parallel_wrapper(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
