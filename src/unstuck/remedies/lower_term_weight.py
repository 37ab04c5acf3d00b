"""lower-term-weight: let one term of a loss count for less.

## What it changes
`weight/<loss>/<term>`: for a collapsed latent, of the term that fell with it or pulls its codes
together most, to a twentieth and to nothing; for a dominating term, of that term, so that its
gradient becomes as long as that of all others together; of two terms that oppose each other, of the
first, to a twentieth and to nothing: a goal has to be given up.

## What is expected
A latent keeps its spread over the batch and what depends on it begins to improve; beside a term
that dominated, the others begin to fall.

## When it does not help
Where the term is what the run is for. Where the latent collapsed for another reason (dead layers,
parameters that are not trained), it stays collapsed.

## Origin
The factor for collapse: between a third and a hundredth of the weight, a twentieth gave the best
images of a contrast translation whose latent had collapsed (our runs, LOG.md). Balance by gradient
length: Chen et al., GradNorm, 2018, <https://arxiv.org/abs/1711.02257>

>>> from unstuck import Finding, Run
>>> run = Run.of(term__loss__content=[0.3] * 9 + [0.001] * 9, weight__loss__content=[1.0] * 18)
>>> [t.changes for t in lower_term_weight(run, Finding("COL004", "model.encoder", "", ()))]
[{'weight/loss/content': 'x0.05'}, {'weight/loss/content': 'x0'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.levels import end_level
from unstuck.signals.terms import Term, fallen_term, pulling_term

COLLAPSE_FACTORS = ("x0.05", "x0")
LEAST = 1e-4  # a smaller factor is no weight but an end


@remedy("COL004", "LOS001", "LOS003", safety="changes-training")
def lower_term_weight(run: Run, finding: Finding) -> Iterator[Treatment]:
    if finding.code in ("LOS001", "LOS003"):
        loss, _, name = finding.where.partition("/")
        share = run.series.get(f"gradient_share/{loss}/{name}")
        if finding.code == "LOS003":
            if share is not None:
                yield from (_treatment(Term(loss, name, run), f, finding) for f in COLLAPSE_FACTORS)
        elif share is not None and 0 < (of_all := end_level(share)) <= 1:
            balance = max(LEAST, (1 - of_all) / of_all)
            yield _treatment(Term(loss, name, run), f"x{balance:.1g}", finding)
        return
    term = fallen_term(run) or pulling_term(run, finding.where)
    if term is None:
        return
    for factor in COLLAPSE_FACTORS:
        yield _treatment(term, factor, finding)


def _treatment(term: Term, factor: str, finding: Finding) -> Treatment:
    expected = {
        "COL004": "the latent keeps its spread over the batch, and what depends on it improves",
        "LOS001": "the other terms of the loss begin to fall",
        "LOS003": "the other term begins to fall; this one is given up in its favour",
    }
    return Treatment(
        name=f"weight of {term.name} in {term.loss} {factor}",
        remedy="lower-term-weight",
        changes={f"weight/{term.loss}/{term.name}": factor},
        expectation=expected[finding.code],
        answers=(finding.code,),
    )
