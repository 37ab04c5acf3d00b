"""raise-clip-limit: let usual gradients through and clip only outbursts.

## What it changes
The limit of `clip_grad_norm_`: to about twice the usual norm, as it is before clipping (the value
that `clip_grad_norm_` returns). With it the learning rate means what it says again, and may have
to be lowered.

## What is expected
A loss that crept down in steps of one length falls at the pace of the learning rate.

## When it does not help
Under optimizers that divide the scale of the gradient out (Adam and the like) little changes. Where
gradients explode at every step, the limit only hides it.

## Origin
- Pascanu, Mikolov & Bengio, On the Difficulty of Training Recurrent Neural Networks, 2013 (a limit
  of half to ten times the average norm), <https://arxiv.org/abs/1211.5063>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("OPT013", safety="advice")
def raise_clip_limit(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
