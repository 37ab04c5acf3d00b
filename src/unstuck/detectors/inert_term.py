"""LOS002 inert-term: a term of a loss has next to no gradient, though it has a weight and a value.

## Why is this bad?
It is in the sum and in the logs but moves no weight: it saturates, is cut off from the parameters,
or its weight is orders of magnitude too small.

## How it is detected
For the last `LASTING` of the run the term's `gradient_share` stays below `INERT`, its weight is not
zero, and its value still has `LEFT` of its start or more, so it has not just been satisfied.

## Example
>>> from unstuck import Run
>>> def run(share, since=15, end=0.6, weight=1.0):
...     return Run.of(**{
...         "term/loss/edge": [1.0] * 20 + [end] * 40, "weight/loss/edge": [weight] * 60,
...         "gradient_share/loss/edge": [0.1] * since + [share] * (60 - since),
...         "gradient_share/loss/main": [0.9] * since + [1 - share] * (60 - since)})
>>> [finding.message for finding in inert_term(run(7e-6))]
['term edge of loss makes 7e-06 of its gradient since step 15, with weight 1 and value 0.6']

## Look-alikes
A light regulariser, a term that is inert for a while only, one that is satisfied (a hinge, a
consistency term near zero), and one that is switched off:

>>> inert_term(run(1.2e-5))
[]
>>> inert_term(run(7e-6, since=30))
[]
>>> inert_term(run(7e-6, end=0.4))
[]
>>> inert_term(run(0.0, weight=0.0))
[]

## What to try
`raise-term-weight`, `reattach-graph`

## References
- Chen et al., GradNorm, 2018, <https://arxiv.org/abs/1711.02257>
- Goodfellow et al., Generative Adversarial Nets, section 3 (a term that saturates), 2014,
  <https://arxiv.org/abs/1406.2661>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import end_level, share_left
from unstuck.signals.names import shown
from unstuck.signals.spans import last_span_beyond, length
from unstuck.signals.terms import terms_by_loss

INERT = 1e-5  # share; a weight decay written as a term made 1e-4 or more (LOG.md)
LASTING = 0.6  # share of the run
LEFT = 0.5  # share of the start; terms that are satisfied lost more (LOG.md)


@detector("LOS002", needs=("term/*/*", "weight/*/*", "gradient_share/*/*"), explains=("OPT004",))
def inert_term(run: Run) -> Iterator[Finding]:
    for terms in terms_by_loss(run, "gradient_share"):
        for term in terms:
            share = run.series[f"gradient_share/{term.loss}/{term.name}"]
            weight, value = term.series("weight"), term.series("term")
            span = last_span_beyond(share, "<", INERT, at_least=LASTING * length(share))
            if not span or weight is None or value is None:
                continue
            if end_level(weight) == 0 or not share_left(value) > LEFT:
                continue
            yield Finding(
                "LOS002",
                where=f"{term.loss}/{term.name}",
                message=(
                    f"term {shown(term.name, 20)} of {shown(term.loss, 20)} makes "
                    f"{share.value[-1]:.1g} of its gradient since step {span[0]}, "
                    f"with weight {end_level(weight):.3g} and value {end_level(value):.3g}"
                ),
                evidence=(Evidence(share, "<", INERT, span),),
            )
