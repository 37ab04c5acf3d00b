"""stop-gradient-between-chunks: detach the state where one chunk of a sequence ends.

## What it changes
`state = state.detach()` (of every tensor in it) before the next chunk, and no `retain_graph=True`.
Where the gradient is to reach through all chunks, one backward pass on the sum of their losses.

## What is expected
Every backward pass takes as long as the first one, and memory stays flat.

## When it does not help
Where what is to be learned lies further back than a chunk: then make the chunks longer.

## Origin
- Sutskever, Training Recurrent Neural Networks, 2013, section 2.8.6,
  <https://www.cs.utoronto.ca/~ilya/pubs/ilya_sutskever_phd_thesis.pdf>
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("SEQ002", safety="advice")
def stop_gradient_between_chunks(run: Run, finding: Finding) -> Iterator[Treatment]:
    yield from ()
