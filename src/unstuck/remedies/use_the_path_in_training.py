"""use-the-path-in-training: let training's loss pass the path that is taken at use.

## What it changes
A term joins the loss that goes the way of use: the encoder of the one domain into the decoder of
the other, compared with the partner or, without one, sent back and compared with where it began. A
cut on the way (`detach`, `no_grad`, a decoder that is built and never called) is opened.

## What is expected
Every weight that use needs gets a gradient, and the error at use falls with the training loss.

## When it does not help
Where a part is meant to come trained from elsewhere (freeze it: it is no longer counted) or there
is nothing to compare the crossed output with.

## Origin
- Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, 2017,
  <https://arxiv.org/abs/1703.10593>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("SKP003", safety="advice")
def use_the_path_in_training(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
