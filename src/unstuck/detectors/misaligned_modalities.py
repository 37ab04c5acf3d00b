"""COL005 misaligned-modalities: samples find their partners no better than chance.

## Why is this bad?
Whatever each modality has learnt, the one says nothing of the other: search across them returns
anything. Partners that were shuffled apart, or a loss without a term between the modalities, do it.

## How it is detected
`pair/<first>:<second>/agreement`, the share of the other samples that are less like a sample than
its partner is, stays below `CHANCE` (medians of five readings) to the end, for `LASTING` of the run
and `FOR_STEPS` steps at least; 0.5 is chance. Where all samples of both are alike (a mean cosine of
others above `ALIKE`), or the codes of one (`codes/<first>/similarity`), nothing can be ranked and
another pathology says why.

Where no pair was watched, the probe `collapse`, which is told the two (`modalities`), is enough:
the same share and limits (`collapse/<first>:<second>/agreement`), after `FOR_STEPS` steps of the
optimizer; one look makes it a *warning*.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(agreement, since=100, n=400, unpaired=0.1, before=0.9):
...     steps = np.arange(0, n, 2)
...     value = np.where(steps < since, before, agreement)
...     columns = {"agreement": value, "unpaired": 0 * steps + unpaired}
...     names = {f"pair/image:text/{k}": v for k, v in columns.items()}
...     return Run({k: Series(k, steps, v) for k, v in names.items()})
>>> [finding.message for finding in misaligned_modalities(run(0.51))]
['partners in image:text have been nearer than 51% of the others since step 100; chance is 50%']

Facts of the probe alone:

>>> from unstuck import diagnose
>>> def probed(agreement=0.51, steps=900, unpaired=0.1):
...     facts = {"agreement": agreement, "steps": steps, "unpaired": unpaired}
...     run = Run.of(facts={f"collapse/image:text/{k}": v for k, v in facts.items()})
...     return [c.finding.message for c in diagnose(run).causes]
>>> probed()
['partners in image:text are nearer than 51% of the others after 900 steps; chance is 50%']

## Look-alikes
Partners of few kinds, which many others equal, the start of a training, a short run, and codes that
have collapsed:

>>> misaligned_modalities(run(0.73)) + misaligned_modalities(run(0.9, before=0.5))
[]
>>> misaligned_modalities(run(0.51, 200)) + misaligned_modalities(run(0.51, since=700, n=1000))
[]
>>> len(misaligned_modalities(run(0.51, since=620, n=1000)))
1
>>> misaligned_modalities(run(0.5, unpaired=0.99))
[]
>>> len(misaligned_modalities(run(0.51, unpaired=0.7)))
1

One odd batch changes nothing:

>>> odd = Series("pair/image:text/agreement", range(0, 400, 2), [0.51] * 150 + [0.8] + [0.51] * 49)
>>> len(misaligned_modalities(Run(run(0.51).series | {odd.name: odd})))
1
>>> alike = Series("codes/text/similarity", range(0, 400, 2), [0.97] * 200)
>>> misaligned_modalities(Run(run(0.51).series | {alike.name: alike}))
[]

>>> probed(0.73) + probed(steps=200) + probed(unpaired=0.99)
[]

## What to try
`add-cross-term`, `use-shared-shuffling`

## References
- Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021,
  <https://arxiv.org/abs/2103.00020>
- Wang & Isola, Understanding Contrastive Representation Learning through Alignment and Uniformity
  on the Hypersphere, 2020, <https://arxiv.org/abs/2005.10242>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import end_level, running_median
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import between, finite, last_span_beyond, length

CHANCE = 0.6  # healthy pairs of two kinds kept 0.72; shuffled ones came to 0.585 (LOG.md)
ALIKE = 0.9  # mean cosine; collapsed codes had 0.99 (LOG.md)
FOR_STEPS = 250  # healthy pairs had found each other by step 64 (LOG.md)
LASTING = 0.35  # share of the run


@detector(
    "COL005",
    needs=("pair/*/agreement",),
    or_facts=("collapse/*:*/agreement", "collapse/*:*/steps"),
    explains=("COL001", "COL002", "COL003", "OPT004", "GEN002"),
)
def misaligned_modalities(run: Run) -> Iterator[Finding]:
    if not run.matching("pair/*/agreement"):
        yield from _probed(run)
    for told in run.matching("pair/*/agreement"):
        name, agreement = where_of(told.name), running_median(finite(told))
        if _alike(run, name):
            continue
        at_least = max(FOR_STEPS, LASTING * length(agreement))
        span = last_span_beyond(agreement, "<", CHANCE, at_least=at_least)
        if span is not None:
            level = end_level(between(agreement, *span))
            yield Finding(
                "COL005",
                where=name,
                message=(
                    f"partners in {shown(name)} have been nearer than {100 * level:.0f}% of the "
                    f"others since step {span[0]}; chance is 50%"
                ),
                evidence=(Evidence(agreement, "<", CHANCE, span),),
                severity="error",
            )


def _alike(run: Run, name: str) -> bool:
    """Whether all samples of both are alike, or the codes of one of the two."""
    sides = (f"codes/{side}/similarity" for side in name.split(":"))
    known = (run.series.get(key) for key in (f"pair/{name}/unpaired", *sides))
    return any(series is not None and end_level(series) > ALIKE for series in known)


def _probed(run: Run) -> Iterator[Finding]:
    """The same of the codes that a probe has read once."""
    for name, share in run.facts_matching("collapse/*:*/agreement").items():
        key = name.removesuffix("/agreement")
        told = (share, run.facts.get(f"{key}/steps"), run.facts.get(f"{key}/unpaired"))
        agreement, steps, others = (v if isinstance(v, int | float) else None for v in told)
        if agreement is None or steps is None or others is None:
            continue
        if agreement < CHANCE and steps >= FOR_STEPS and others <= ALIKE:
            yield Finding(
                "COL005",
                where=where_of(name),
                message=(
                    f"partners in {shown(where_of(name))} are nearer than {100 * agreement:.0f}% "
                    f"of the others after {steps:.0f} steps; chance is 50%"
                ),
                evidence=(Evidence.of_fact(run, name, "<", CHANCE),),
            )
