"""use-bfloat16: compute in a half precision that has the range of float32.

## What it changes
`torch.autocast(device, dtype=torch.bfloat16)` in place of float16, and no gradient scaler. Its
largest number is 3e38 in place of 65,504; it has three bits of precision less.

## What is expected
No step is skipped any more, and losses and gradients that were infinite are finite.

## When it does not help
Where a value is infinite in float32 too (log 0, the root's derivative at 0), and on devices without
bfloat16 units (before the A100), where it is slow.

## Origin
- Kalamkar et al., A Study of BFLOAT16 for Deep Learning Training, 2019,
  <https://arxiv.org/abs/1905.12322>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("NUM002", safety="advice")
def use_bfloat16(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
