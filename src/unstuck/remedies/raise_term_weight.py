"""raise-term-weight: let one term of a loss count for more.

## What it changes
`weight/<loss>/<term>` of a term whose gradient is next to nothing, so that it makes about a tenth
of the gradient of its loss. Of a term that two opponents share: the smaller of its two weights, to
that of the other.

## What is expected
The term's value begins to fall; the other terms lose little.

## When it does not help
Where the term has no gradient at all (it saturates, or is cut off from the parameters): no factor
changes that, and no treatment is proposed.

## Origin
- Chen et al., GradNorm (balance by gradient length), 2018, <https://arxiv.org/abs/1711.02257>

>>> from unstuck import Finding, Run
>>> run = Run.of(gradient_share__loss__edge=[1e-5] * 9)
>>> [t.changes for t in raise_term_weight(run, Finding("LOS002", "loss/edge", "", ()))]
[{'weight/loss/edge': 'x1e+04'}]
>>> weights = {"weight__d_loss__kind": [0.1] * 9, "weight__g_loss__kind": [1.0] * 9}
>>> run = Run.of(loss__d_loss=[1.0] * 9, loss__g_loss=[1.0] * 9, **weights)
>>> [t.changes for t in raise_term_weight(run, Finding("LOS004", "g_loss/kind", "", ()))]
[{'weight/d_loss/kind': 'x1e+01'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.games import discriminator_losses
from unstuck.signals.levels import end_level
from unstuck.signals.terms import Term

WANTED = 0.1  # share of the gradient: felt by the weights, yet no rival of the main term
MOST = 1e8  # a larger factor would only amplify rounding errors of float32


@remedy("LOS002", "LOS001", "ADV002", "ADV003", "LOS004", safety="changes-training")
def raise_term_weight(run: Run, finding: Finding) -> Iterator[Treatment]:
    loss, _, name = finding.where.partition("/")
    if finding.code == "LOS004":
        yield from _levelled(run, loss, name, finding)
        return
    if finding.code == "LOS001":  # the finding names the term that dominates; raise the weakest
        shares = [s for s in run.matching(f"gradient_share/{loss}/*") if end_level(s) > 0]
        name = min(shares, key=end_level).name.split("/", 2)[2] if shares else name
    share = run.series.get(f"gradient_share/{loss}/{name}")
    if share is None or not 1 / MOST < end_level(share) < WANTED:
        return
    yield _raised(Term(loss, name, run), WANTED / end_level(share), finding)


def _levelled(run: Run, loss: str, name: str, finding: Finding) -> Iterator[Treatment]:
    """The weaker of two weights of one term, made as large as the stronger one."""
    names = [loss, *(s.name.split("/", 1)[1] for s in discriminator_losses(run))]
    sides = [Term(one, name, run) for one in dict.fromkeys(names)]
    weights = [(abs(end_level(w)), side) for side in sides if (w := side.series("weight"))]
    if len(weights) < 2:
        return
    (low, weaker), (high, _) = min(weights, key=_first), max(weights, key=_first)
    if 0 < low < high:
        yield _raised(weaker, high / low, finding)


def _first(pair: tuple[float, Term]) -> float:
    return pair[0]


def _raised(term: Term, factor: float, finding: Finding) -> Treatment:
    return Treatment(
        name=f"weight of {term.name} in {term.loss} x{factor:.1g}",
        remedy="raise-term-weight",
        changes={f"weight/{term.loss}/{term.name}": f"x{factor:.1g}"},
        expectation="the term begins to fall; the other terms lose little",
        answers=(finding.code,),
    )
