"""NRM001 tiny-batch-statistics: batch normalisation by the statistics of one to four samples.

## Why is this bad?
A sample's output then depends on who shares the batch with it more than on itself: of two samples
each channel keeps little more than which is the larger. And the running statistics used at
evaluation are those of no batch the network was trained on.

## How it is detected
`normalisation/<model>.<layer>/samples` is `FEW` or less, and `.../gap`, how far the batch's
statistics lie from the running ones, is above `GAP` in the median of the run's second half. The gap
is what counts: four pictures with many independent positions each give good statistics.

The probe `accumulation-equality`, handed the training's own accumulation, measures what it does to
the gradient: an *info* where `FEW` or fewer samples are normalised at a time and that puts the
gradient further off than it is long.

## Example
>>> from unstuck import Run
>>> def run(samples, gap, others=0.1):
...     names = {"samples": [samples] * 40, "gap": [2.0] * 5 + [gap] * 35}
...     many = {f"normalisation/net.norm{i}/gap": [others] * 40 for i in range(2)}
...     return Run.of(**{f"normalisation/net.bn/{k}": v for k, v in names.items()}, **many)
>>> [finding.message for finding in tiny_batch_statistics(run(2, 1.3))]
['net.bn normalises 2 samples by their own statistics, 1.3 deviations off the usual ones']
>>> [finding.where for finding in tiny_batch_statistics(run(4, 0.7))]
['net.bn']


The probe's facts alone:

>>> from unstuck import diagnose
>>> def probed(size, gap):
...     facts = {"told": True, "size": size, "norm_gap": gap}
...     run = Run.of(facts={f"accumulation/net/{name}": v for name, v in facts.items()})
...     return [(f.message, f.severity) for f in diagnose(run).findings]
>>> probed(2, 1.4)
[('net normalises 2 samples at a time: the gradient is 140% off that of the whole batch', 'info')]

## Look-alikes
Large pictures one at a time, batches of six, and statistics that lag because the weights move:

>>> tiny_batch_statistics(run(1, 0.02)) + tiny_batch_statistics(run(4, 0.5))
[]
>>> tiny_batch_statistics(run(6, 0.7)) + tiny_batch_statistics(run(64, 1.3))
[]
>>> probed(6, 1.4) + probed(4, 0.8)
[]

## What to try
`normalise-layers`, `raise-batch-size`

## References
- Wu & He, Group Normalization (error against batch size), 2018, <https://arxiv.org/abs/1803.08494>
- Ioffe, Batch Renormalization, 2017, <https://arxiv.org/abs/1702.03275>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.accumulations import accumulations
from unstuck.signals.batches import few_samples, settled_gaps
from unstuck.signals.names import shown, where_of

FEW = 4  # samples: below 8 the error of networks with batch normalisation climbs (Wu & He 2018)
GAP = 0.6  # deviations; four samples of one number each have 0.61, of many up to 0.3 (LOG.md)


@detector(
    "NRM001",
    needs=("normalisation/*/gap", "normalisation/*/samples"),
    or_facts=("accumulation/*/told",),
    explains=("GEN002", "GEN003", "OPT004"),
)
def tiny_batch_statistics(run: Run) -> Iterator[Finding]:
    found: dict[str, list[Series]] = {}
    for gap in settled_gaps(run):
        layer = where_of(gap.name)
        if few_samples(run, layer) <= FEW and gap.value[0] > GAP:
            found.setdefault(layer.split(".", 1)[0], []).append(gap)
    for gaps in found.values():
        worst = max(gaps, key=lambda s: float(s.value[0]))
        layer, last = where_of(worst.name), int(worst.step[0])
        others = f", as {len(gaps) - 1} more layers do" if len(gaps) > 1 else ""
        yield Finding(
            "NRM001",
            where=layer,
            message=(
                f"{shown(layer, 24)} normalises {few_samples(run, layer):.0f} samples by their own "
                f"statistics, {worst.value[0]:.2g} deviations off the usual ones{others}"
            ),
            evidence=(Evidence(worst, ">", GAP, (last, last)),),
        )
    yield from _probed(run)


def _probed(run: Run) -> Iterator[Finding]:
    for found in accumulations(run):
        size, gap = found.number("size"), found.number("norm_gap")
        if size <= FEW and gap > 1:
            yield Finding(
                "NRM001",
                where=found.model,
                message=(
                    f"{shown(found.model, 30)} normalises {size:.0f} samples at a time: the "
                    f"gradient is {gap:.0%} off that of the whole batch"
                ),
                evidence=(found.evidence("norm_gap", ">", 1.0),),
                severity="info",
            )
