"""use-sample-pool: let rollouts go on from where earlier ones ended.

## What it changes
A pool of states: a batch is drawn from it, rolled out, judged and put back, and the worst of each
batch begins anew. Where that is not enough, a share of the state fades in every step (a leak), so
that errors fade with it.

## What is expected
The error at 2, 4 and 10 times the steps stays near the one at their end
(`persistence/<model>/x4` near 1).

## When it does not help
Where what is built is only wanted at one moment. Where a rule has not learnt to build yet: a pool
of failures teaches little, begin with rollouts from the first state.

## Origin
- Mordvintsev et al., Growing Neural Cellular Automata, 2020,
  <https://distill.pub/2020/growing-ca>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("CTX006", safety="advice")
def use_sample_pool(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
