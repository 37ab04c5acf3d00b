"""COL001 collapsed-codes: nearly every sample has the same binary code.

## Why is this bad?
Codes that are all alike rank nothing: retrieval is chance, while terms that pull codes together
(partners, quantisation) read as a success.

## How it is detected
The mean cosine between the signs of different samples' codes, `codes/<x>/similarity`, stays above
`ALIKE` to the end, for `LASTING` of the run and `FOR_STEPS` steps at least. Codes are what
`run.embedding("codes", b)` is told, or what layers named after hashing put out, where their entries
lie between -1 and 1 (or 0 and 1). Unless their name speaks of hashing, bits or binary codes, or a
term of a loss of quantisation, the codes themselves must be alike, too: a spread over the batch
(`latent/<x>/batch_std`) below `FLAT` of their size. Else it is an *info*.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(similarity, since=100, n=400, largest=1.0, apart=0.3, name="hash", std=0.5):
...     steps = np.arange(0, n, 2)
...     value = np.where(steps < since, apart, similarity)
...     columns = {"similarity": value, "largest": 0 * steps + largest}
...     names = {f"codes/{name}/{k}": v for k, v in columns.items()}
...     names |= {f"latent/{name}/batch_std": 0 * steps + std, f"latent/{name}/rms": 0 * steps + 1}
...     return Run({k: Series(k, steps, v) for k, v in names.items()})
>>> [finding.message for finding in collapsed_codes(run(0.98))]
['signs of the codes of hash have had a mean cosine of 0.98 between samples since step 100']

## Look-alikes
Few codes where there are few kinds, a start from which codes spread, a run that was short, and
numbers that are no codes:

>>> collapsed_codes(run(0.85)) + collapsed_codes(run(0.3, apart=0.98))
[]
>>> collapsed_codes(run(0.98, since=200)) + collapsed_codes(run(0.98, since=700, n=1000))
[]
>>> len(collapsed_codes(run(0.98, since=620, n=1000)))
1
>>> collapsed_codes(run(0.98, largest=4.0))
[]

A bottleneck whose entries keep their signs and vary all the same:

>>> [f.severity for s in (0.5, 0.12, 0.08) for f in collapsed_codes(run(1, name="codes", std=s))]
['info', 'info', 'error']

## What to try
`add-balance-term`, `add-variance-term`, `lower-term-weight`

## References
- Shen et al., Unsupervised Deep Hashing with Similarity-Adaptive and Discrete Optimization, 2018,
  <https://doi.org/10.1109/TPAMI.2018.2789887>
- Zhang et al., Aggregation-Based Graph Convolutional Hashing for Unsupervised Cross-Modal
  Retrieval, 2022, <https://doi.org/10.1109/TMM.2021.3053766>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.codes import bounded_codes, lasts_above, meant_as_bits
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import between

ALIKE = 0.9  # mean cosine; collapsed codes reached 0.99 or more, poor ones 0.88 (LOG.md)
FLAT = 0.1  # of their size, as for a collapsed embedding
FOR_STEPS = 250  # healthy codes had spread by step 80 (LOG.md)
LASTING = 0.35  # share of the run


@detector(
    "COL001",
    needs=("codes/*/similarity", "codes/*/largest"),
    explains=("COL002", "COL003", "COL004", "OPT004"),
)
def collapsed_codes(run: Run) -> Iterator[Finding]:
    for name, alike in bounded_codes(run, "similarity"):
        span = lasts_above(alike, ALIKE, FOR_STEPS, LASTING)
        if span is not None:
            level = end_level(between(alike, *span))
            yield Finding(
                "COL001",
                where=name,
                message=(
                    f"signs of the codes of {shown(name)} have had a mean cosine of {level:.2g} "
                    f"between samples since step {span[0]}"
                ),
                evidence=(Evidence(alike, ">", ALIKE, span),),
                severity="error" if meant_as_bits(run, name) or _flat(run, name) else "info",
            )


def _flat(run: Run, name: str) -> bool:
    """Whether the codes hardly vary in value either."""
    spread, size = (run.series.get(f"latent/{name}/{key}") for key in ("batch_std", "rms"))
    return spread is not None and size is not None and end_level(spread) < FLAT * end_level(size)
