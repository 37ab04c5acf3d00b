"""COL003 unquantised-codes: codes that are to become bits stay near zero.

## Why is this bad?
At use only the signs are kept. Where entries lie near zero, signs are close to chance, and what the
loss was trained on is not what is searched with.

## How it is detected
The mean distance of the entries from +-1, `codes/<x>/gap`, stays above `FAR` to the end, for
`LASTING` of the run and `FOR_STEPS` steps at least. What counts as codes is said at
`collapsed-codes`; a bottleneck may be called codes too, so it is an *info* unless their name speaks
of hashing, bits or binary codes, or a term of a loss of quantisation.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(gap, since=100, n=400, largest=1.0, before=0.2, name="image_hash"):
...     steps = np.arange(0, n, 2)
...     value = np.where(steps < since, before, gap)
...     columns = {"gap": value, "largest": 0 * steps + largest}
...     names = {f"codes/{name}/{k}": v for k, v in columns.items()}
...     return Run({k: Series(k, steps, v) for k, v in names.items()})
>>> [finding.message for finding in unquantised_codes(run(0.85))]
['entries of the codes of image_hash have been 0.85 away from +-1 on average since step 100']

## Look-alikes
Codes that are soft but sure of their sign, the start of a training, a short run, and numbers that
are no codes:

>>> unquantised_codes(run(0.5)) + unquantised_codes(run(0.3, before=0.9))
[]
>>> unquantised_codes(run(0.85, since=200)) + unquantised_codes(run(0.85, since=700, n=1000))
[]
>>> len(unquantised_codes(run(0.85, since=620, n=1000)))
1
>>> unquantised_codes(run(0.85, largest=4.0))
[]
>>> [finding.severity for finding in unquantised_codes(run(0.85, name="codes"))]
['info']

## What to try
`add-quantisation-term`

## References
- Cao et al., HashNet: Deep Learning to Hash by Continuation, 2017,
  <https://arxiv.org/abs/1702.00758>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.codes import bounded_codes, lasts_above, meant_as_bits
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import between

FAR = 0.65  # of 1; codes 0.73 away lost a fifth of their precision as bits, 0.6 away none (LOG.md)
FOR_STEPS = 250  # healthy codes were nearer by step 144 (LOG.md)
LASTING = 0.35  # share of the run


@detector("COL003", needs=("codes/*/gap", "codes/*/largest"))
def unquantised_codes(run: Run) -> Iterator[Finding]:
    for name, gap in bounded_codes(run, "gap"):
        span = lasts_above(gap, FAR, FOR_STEPS, LASTING)
        if span is not None:
            level = end_level(between(gap, *span))
            yield Finding(
                "COL003",
                where=name,
                message=(
                    f"entries of the codes of {shown(name)} have been {level:.2g} away from +-1 "
                    f"on average since step {span[0]}"
                ),
                evidence=(Evidence(gap, ">", FAR, span),),
                severity="warning" if meant_as_bits(run, name) else "info",
            )
