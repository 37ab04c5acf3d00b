"""clip-gradients: bound the norm of the gradient before each step.

## What it changes
`torch.nn.utils.clip_grad_norm_(model.parameters(), limit)` between `backward` and `step`, with a
limit near the usual `grad_norm/<optimizer>` of the healthy part of the run.

## What is expected
Single very large gradients no longer throw the weights far away; the usual steps stay as they are.

## When it does not help
Where every step is too large, not single ones: an adaptive optimizer divides the clipped scale out
again, so lower the learning rate. Where the loss itself is wrong (log 0), it stays so.

## Origin
- Pascanu, Mikolov & Bengio, On the Difficulty of Training Recurrent Neural Networks, 2013,
  <https://arxiv.org/abs/1211.5063>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy(
    "GRD002", "DAT009", "NUM001", "OPT001", "OPT003", "OPT005", "OPT007", "SEQ001", safety="advice"
)
def clip_gradients(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
