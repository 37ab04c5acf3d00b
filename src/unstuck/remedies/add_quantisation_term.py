"""add-quantisation-term: pull the entries of codes towards -1 and 1 as training goes on.

## What it changes
`mean((|b| - 1)^2)` joins the loss with a small weight that grows, or `tanh(beta h)` with a `beta`
that grows takes the place of `tanh(h)`.

## What is expected
The gap falls, and results with signs come near those with the entries themselves.

## When it does not help
Given a large weight from the start it freezes the signs that codes began with: bits stay constant.

## Origin
- Cao et al., HashNet: Deep Learning to Hash by Continuation, 2017,
  <https://arxiv.org/abs/1702.00758>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("COL003", safety="advice")
def add_quantisation_term(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
