"""COL006 miscalibrated-targets: similarity targets ask all samples to be alike, or all opposite.

## Why is this bad?
Targets above zero for every pair (cosines of features that are never negative) are met best by one
code for all. Targets far below zero for every pair cannot be met at all: n vectors cannot be
opposites of each other, their mean cosine is never below -1/(n-1), so likeness is hardly learnt.

## How it is detected
Of the targets beside the diagonal, 95 % lie above `HIGH` (`target_similarity/<x>/low`) and the
codes told in the same step come to a mean cosine above `DRAWN`; or 95 % lie below `-HIGH`
(`.../high`). Either to the end, for `LASTING` of the run.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(low, high, met=0.88, n=100, since=0):
...     steps = np.arange(0, n, 2)
...     columns = {"low": np.where(steps < since, -0.3, low),
...                "high": np.where(steps < since, 0.4, high), "met": 0 * steps + met}
...     names = {f"target_similarity/targets/{k}": v for k, v in columns.items()}
...     return Run({k: Series(k, steps, v) for k, v in names.items()})
>>> [finding.message for finding in miscalibrated_targets(run(0.52, 0.87))]
['95% of targets ask for a similarity above 0.52: codes have come to 0.88 on average']
>>> [finding.message for finding in miscalibrated_targets(run(-0.9, -0.55, met=0.0))]
['95% of targets ask for a similarity below -0.55, which no set of codes can have']

## Look-alikes
Targets from zero to one by design, targets with most pairs below zero and some above, positive
targets that codes meet without coming together, and what passed:

>>> miscalibrated_targets(run(0.0, 1.0)) + miscalibrated_targets(run(0.2, 1.0))
[]
>>> miscalibrated_targets(run(-1.0, 1.0)) + miscalibrated_targets(run(-0.5, -0.25))
[]
>>> miscalibrated_targets(run(0.25, 0.9)) + miscalibrated_targets(run(0.4, 0.9, met=0.35))
[]
>>> miscalibrated_targets(run(0.52, 0.87, since=82))
[]
>>> len(miscalibrated_targets(run(0.52, 0.87, since=70)) + miscalibrated_targets(run(0.4, 0.9)))
2
>>> len(miscalibrated_targets(run(0.4, 0.9, met=0.45)))
1

## What to try
`use-centred-targets`

## References
- Su, Zhong & Zhang, Deep Joint-Semantics Reconstructing Hashing for Large-Scale Unsupervised
  Cross-Modal Retrieval, 2019, <https://doi.org/10.1109/ICCV.2019.00312>
- Zhang et al., Aggregation-Based Graph Convolutional Hashing for Unsupervised Cross-Modal
  Retrieval, 2022, <https://doi.org/10.1109/TMM.2021.3053766>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import between, finite, last_span_beyond, length

HIGH = 0.3  # sick targets lay beyond 0.48; those by design from zero to one at 0 (LOG.md)
DRAWN = (
    0.4  # mean cosine; codes of healthy targets ended within 0.12 of zero, sick at 0.55 up (LOG.md)
)
LASTING = 0.2  # share of the run


@detector(
    "COL006",
    needs=("target_similarity/*/low", "target_similarity/*/high"),
    explains=("COL001", "COL002", "COL003", "COL004", "COL005", "OPT004", "GEN002"),
)
def miscalibrated_targets(run: Run) -> Iterator[Finding]:
    for low in map(finite, run.matching("target_similarity/*/low")):
        name = where_of(low.name)
        at_least = LASTING * length(low)
        met = run.series.get(f"target_similarity/{name}/met")
        span = last_span_beyond(low, ">", HIGH, at_least=at_least)
        if span is not None and met is not None and end_level(met) > DRAWN:
            yield Finding(
                "COL006",
                where=name,
                message=(
                    f"95% of {shown(name, 24)} ask for a similarity above "
                    f"{end_level(between(low, *span)):.2g}: codes have come to "
                    f"{end_level(met):.2g} on average"
                ),
                evidence=(Evidence(low, ">", HIGH, span),),
                severity="error",
            )
        high = finite(run.series[f"target_similarity/{name}/high"])
        span = last_span_beyond(high, "<", -HIGH, at_least=at_least)
        if span is not None:
            yield Finding(
                "COL006",
                where=name,
                message=(
                    f"95% of {shown(name, 24)} ask for a similarity below "
                    f"{end_level(between(high, *span)):.2g}, which no set of codes can have"
                ),
                evidence=(Evidence(high, "<", -HIGH, span),),
            )
