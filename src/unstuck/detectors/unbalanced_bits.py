"""COL002 unbalanced-bits: many bits of a code have the same sign for nearly every sample.

## Why is this bad?
A constant bit says nothing: a code of 32 bits of which half are constant is one of 16 bits, at the
price of 32.

## How it is detected
The share of bits that have one sign for 95 % of the batch, `codes/<x>/constant`, stays above
`CONSTANT` to the end, for `LASTING` of the run and `FOR_STEPS` steps at least. What counts as codes
is said at `collapsed-codes`; unless their name speaks of hashing, bits or binary codes, or a term
of a loss of quantisation, it is an *info*: in a bottleneck a constant sign loses nothing.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(constant, since=100, n=400, largest=1.0, before=0.0, name="image_hash"):
...     steps = np.arange(0, n, 2)
...     value = np.where(steps < since, before, constant)
...     columns = {"constant": value, "largest": 0 * steps + largest}
...     names = {f"codes/{name}/{k}": v for k, v in columns.items()}
...     return Run({k: Series(k, steps, v) for k, v in names.items()})
>>> [finding.message for finding in unbalanced_bits(run(0.5))]
['50% of the bits of image_hash have had one sign for 95% of all samples since step 100']

## Look-alikes
Some bits that are rarely set, codes that begin so, a short run, and numbers that are no codes:

>>> unbalanced_bits(run(0.25)) + unbalanced_bits(run(0.0, before=0.7))
[]
>>> unbalanced_bits(run(0.5, since=200)) + unbalanced_bits(run(0.5, since=700, n=1000))
[]
>>> len(unbalanced_bits(run(0.5, since=620, n=1000)))
1
>>> unbalanced_bits(run(0.5, largest=4.0))
[]
>>> [finding.severity for finding in unbalanced_bits(run(0.5, name="codes"))]
['info']

## What to try
`add-balance-term`, `lower-term-weight`

## References
- Weiss, Torralba & Fergus, Spectral Hashing (balanced, uncorrelated bits), 2008,
  <https://papers.nips.cc/paper/3383-spectral-hashing>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.codes import bounded_codes, lasts_above, meant_as_bits
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import between

CONSTANT = 0.35  # share of the bits; healthy codes ended at 0 to 0.25, sick ones at 0.47 (LOG.md)
FOR_STEPS = 250  # healthy codes had balanced their bits by step 80 (LOG.md)
LASTING = 0.35  # share of the run


@detector("COL002", needs=("codes/*/constant", "codes/*/largest"))
def unbalanced_bits(run: Run) -> Iterator[Finding]:
    for name, constant in bounded_codes(run, "constant"):
        span = lasts_above(constant, CONSTANT, FOR_STEPS, LASTING)
        if span is not None:
            level = end_level(between(constant, *span))
            yield Finding(
                "COL002",
                where=name,
                message=(
                    f"{100 * level:.0f}% of the bits of {shown(name)} have had one sign for 95% "
                    f"of all samples since step {span[0]}"
                ),
                evidence=(Evidence(constant, ">", CONSTANT, span),),
                severity="warning" if meant_as_bits(run, name) else "info",
            )
