"""raise-horizon: let news travel as far as the structure is wide.

## What it changes
More steps a rollout (with gradient checkpointing where memory is short), a wider or coarser
perception, or a coarse automaton that works first and hands down to a fine one.

## What is expected
No error is left beyond the horizon, and the loss falls below what it was stuck at.

## When it does not help
Where the horizon reaches and the rule has not learnt yet. Many more steps make gradients long:
clip them, and raise the number step by step.

## Origin
- Mordvintsev et al., Growing Neural Cellular Automata, 2020,
  <https://distill.pub/2020/growing-ca>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("CTX001", "CTX002", safety="advice")
def raise_horizon(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
