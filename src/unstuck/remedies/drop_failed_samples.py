"""drop-failed-samples: take from a pool what stays worst, and sow anew.

## What it changes
Each time a batch is drawn, its worst samples are replaced by fresh ones (seeds, new transitions);
samples that have stayed above a loss for several visits leave the pool.

## What is expected
The pool's median falls with the loss; the gradient is made of what can be learnt.

## When it does not help
Where the hardest samples are rare and right: then they are what has to be learnt.

## Origin
- Mordvintsev et al., Growing Neural Cellular Automata (the worst of a batch is sown anew), 2020,
  <https://distill.pub/2020/growing-ca>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("CTX004", safety="advice")
def drop_failed_samples(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
