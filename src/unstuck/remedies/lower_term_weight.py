"""lower-term-weight: let one term of a loss count for less.

## What it changes
`weight/<loss>/<term>`: for a collapsed latent or code, of the term that fell with it or pulls its
codes together most, to a twentieth and to nothing; for a posterior that says nothing, of the
divergence, to a tenth and a hundredth; for a dominating term, of that term, so that its gradient
becomes as long as that of all others together (beside an adversarial term that is not heard, so
that this one makes a tenth); of two terms that oppose each other, of the first, to a twentieth and
to nothing: a goal has to be given up.

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
- Less of the divergence: Higgins et al., beta-VAE, 2017, with beta below one as in Bowman et al.,
  Generating Sentences from a Continuous Space, 2016, <https://arxiv.org/abs/1511.06349>

>>> from unstuck import Finding, Run
>>> run = Run.of(term__loss__content=[0.3] * 9 + [0.001] * 9, weight__loss__content=[1.0] * 18)
>>> [t.changes for t in lower_term_weight(run, Finding("COL004", "model.encoder", "", ()))]
[{'weight/loss/content': 'x0.05'}, {'weight/loss/content': 'x0'}]
>>> run = Run.of(term__loss__kl=[0.01] * 9, term__loss__pixels=[90.0] * 9)
>>> [t.changes for t in lower_term_weight(run, Finding("COL007", "model.mu", "", ()))]
[{'weight/loss/kl': 'x0.1'}, {'weight/loss/kl': 'x0.01'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.levels import end_level
from unstuck.signals.terms import Term, divergences, fallen_term, pulling_term

COLLAPSE_FACTORS = ("x0.05", "x0")
POSTERIOR_FACTORS = ("x0.1", "x0.01")  # decades
LEAST = 1e-4  # a smaller factor is no weight but an end
HEARD = 0.1  # share of the gradient that an adversarial term gets
COLLAPSES = ("COL001", "COL002", "COL004")


@remedy(
    "COL004",
    "LOS001",
    "LOS003",
    "COL001",
    "COL002",
    "COL007",
    "ADV002",
    "ADV003",
    safety="changes-training",
)
def lower_term_weight(run: Run, finding: Finding) -> Iterator[Treatment]:
    loss, _, name = finding.where.partition("/")
    if finding.code in COLLAPSES:
        term = fallen_term(run) if finding.code == "COL004" else None
        term = term or pulling_term(run, finding.where)
        terms, factors = [term] if term else [], COLLAPSE_FACTORS
    elif finding.code == "COL007":
        terms, factors = divergences(run)[:1], POSTERIOR_FACTORS
    elif finding.code == "LOS003":
        known = f"gradient_share/{loss}/{name}" in run.series
        terms, factors = [Term(loss, name, run)] if known else [], COLLAPSE_FACTORS
    else:
        yield from _balanced(run, loss, name, finding)
        return
    for term in terms:
        yield from (_treatment(term, factor, finding) for factor in factors)


def _balanced(run: Run, loss: str, name: str, finding: Finding) -> Iterator[Treatment]:
    """The term that makes nearly all of the gradient, so that the others are heard."""
    shares = {s.name.split("/", 2)[2]: s for s in run.matching(f"gradient_share/{loss}/*")}
    wanted = 1.0
    if finding.code != "LOS001":  # the finding names the term that is not heard
        shares.pop(name, None)
        name = max(shares, key=lambda n: end_level(shares[n]), default=name)
        wanted = (1 - HEARD) / HEARD
    of_all = end_level(shares[name]) if name in shares else 0.0
    if wanted / (1 + wanted) < of_all <= 1:
        balance = max(LEAST, wanted * (1 - of_all) / of_all)
        yield _treatment(Term(loss, name, run), f"x{balance:.1g}", finding)


_EXPECTED = {
    "COL007": "some dimensions vary from sample to sample, and the reconstruction improves",
    "LOS001": "the other terms of the loss begin to fall",
    "LOS003": "the other term begins to fall; this one is given up in its favour",
    "ADV002": "the adversarial term makes a tenth of the gradient and begins to fall",
    "ADV003": "the adversarial term makes a tenth of the gradient and begins to fall",
}


def _treatment(term: Term, factor: str, finding: Finding) -> Treatment:
    spread = "codes keep their spread over the batch, and what depends on them improves"
    return Treatment(
        name=f"weight of {term.name} in {term.loss} {factor}",
        remedy="lower-term-weight",
        changes={f"weight/{term.loss}/{term.name}": factor},
        expectation=_EXPECTED.get(finding.code, spread),
        answers=(finding.code,),
    )
