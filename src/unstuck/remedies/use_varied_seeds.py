"""use-varied-seeds: begin rollouts from states that differ, and go on from damaged ones.

## What it changes
Noise on the first state, seeds moved by some cells with the target moved along, and a pool of
earlier states in which some are damaged and the worst are sown anew.

## What is expected
After a small change of the first state nearly all of what is built is left (`fragility/<model>/*`
near 1), and damage heals.

## When it does not help
Where the first state holds what is to be built in differences smaller than its noise: write the
condition larger. Where little is built from the exact state either.

## Origin
- Mordvintsev et al., Growing Neural Cellular Automata, 2020,
  <https://distill.pub/2020/growing-ca>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("CTX005", safety="advice")
def use_varied_seeds(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
