"""raise-term-weight: let one term of a loss count for more.

## What it changes
`weight/<loss>/<term>` of a term whose gradient is next to nothing, so that it makes about a tenth
of the gradient of its loss.

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
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.levels import end_level

WANTED = 0.1  # share of the gradient: felt by the weights, yet no rival of the main term
MOST = 1e8  # a larger factor would only amplify rounding errors of float32


@remedy("LOS002", "LOS001", "ADV002", "ADV003", "LOS004", safety="changes-training")
def raise_term_weight(run: Run, finding: Finding) -> Iterator[Treatment]:
    loss, _, name = finding.where.partition("/")
    if finding.code == "LOS001":  # the finding names the term that dominates; raise the weakest
        shares = run.matching(f"gradient_share/{loss}/*")
        name = min(shares, key=end_level).name.split("/", 2)[2] if shares else name
    share = run.series.get(f"gradient_share/{loss}/{name}")
    if share is None or not 1 / MOST < end_level(share) < WANTED:
        return
    factor = WANTED / end_level(share)
    yield Treatment(
        name=f"weight of {name} in {loss} x{factor:.1g}",
        remedy="raise-term-weight",
        changes={f"weight/{loss}/{name}": f"x{factor:.1g}"},
        expectation="the term begins to fall; the other terms lose little",
        answers=(finding.code,),
    )
