"""rescale-attention-scores: bring the scores of attention to about unit spread.

## What it changes
Scores are divided by the root of the head's width, queries and keys are normalised, or their
weights are drawn with a spread of 1 / sqrt(width).

## What is expected
Maps begin nearly uniform and sharpen as they learn; the loss falls.

## When it does not help
Where maps are sharp and right, as in copying: then the loss is low already.

## Origin
- Vaswani et al., Attention Is All You Need (section 3.2.1), 2017,
  <https://arxiv.org/abs/1706.03762>
- Zhai et al., Stabilizing Transformer Training by Preventing Attention Entropy Collapse, 2023,
  <https://arxiv.org/abs/2303.06296>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("ATT001", safety="advice")
def rescale_attention_scores(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
