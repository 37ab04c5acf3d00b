"""COL007 posterior-collapse: a variational encoder says the same of every sample.

## Why is this bad?
The code carries nothing: the decoder gives the average, or does without it, and samples do not
depend on what they were to depend on. The divergence falls to nothing, which reads as a success.

## How it is detected
The largest variance over the batch of any dimension of the posterior's mean,
`posterior/<x>/spread`, stays below `INACTIVE` to the end, for `LASTING` of the run and `FOR_STEPS`
steps at least. The prior has variance one. Means of other Gaussians (a policy's, a forecast's) may
be near constant for good reasons, so without a term named after a divergence in the loss it is an
*info*; so is it where another posterior of the run says something, as in a ladder of them.

## Example
>>> from unstuck import Run, Series
>>> import numpy as np
>>> def run(spread, since=100, n=400, term="kl", before=0.3, other=None):
...     steps = np.arange(0, n, 2)
...     value = np.where(steps < since, before, spread)
...     names = {"posterior/vae.mu/spread": value, f"term/loss/{term}": 0 * steps + 0.001}
...     if other:
...         names["posterior/vae.top.mu/spread"] = 0 * steps + other
...     return Run({k: Series(k, steps, v) for k, v in names.items()})
>>> [finding.message for finding in posterior_collapse(run(0.0002))]
['no dimension of vae.mu has varied by more than 0.0002 over the batch since step 100']

## Look-alikes
A code of which some dimensions are used, an encoder that has said nothing yet, a short run, and a
Gaussian of another kind:

>>> posterior_collapse(run(0.014)) + posterior_collapse(run(0.8, before=0.004))
[]
>>> posterior_collapse(run(0.0002, since=200))
[]
>>> posterior_collapse(run(0.0002, since=1600, n=2000))
[]
>>> [f.severity for f in posterior_collapse(run(0.0002, since=700, n=1000))]
['error']
>>> [f.severity for f in posterior_collapse(run(0.0085, term="entropy"))]
['info']
>>> [f.severity for r in (run(0.0002, other=0.9), run(0.0002, other=1e-4))
...  for f in posterior_collapse(r)]
['info', 'error', 'error']

## What to try
`lower-term-weight`, `use-free-bits`, `use-summed-reconstruction`

## References
- Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders (active units), 2016,
  <https://arxiv.org/abs/1509.00519>
- Bowman et al., Generating Sentences from a Continuous Space, 2016,
  <https://arxiv.org/abs/1511.06349>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import between, finite, last_span_beyond, length

INACTIVE = 0.01  # of the prior's variance: Burda, Grosse & Salakhutdinov 2016, section 5.2
FOR_STEPS = 250  # healthy encoders said something by step 16 (LOG.md)
LASTING = 0.25  # share of the run; where a divergence is warmed up, collapse may come late
DIVERGENCE = ("term/*/*kl*", "term/*/*KL*", "term/*/*diverg*")


@detector(
    "COL007",
    needs=("posterior/*/spread",),
    sharpened_by=DIVERGENCE,
    explains=("COL004", "OPT004", "LOS001", "LOS002", "GEN002"),
)
def posterior_collapse(run: Run) -> Iterator[Finding]:
    spreads = [finite(series) for series in run.matching("posterior/*/spread")]
    told = any(run.matching(pattern) for pattern in DIVERGENCE)
    silent = all(end_level(series) < INACTIVE for series in spreads)
    for spread in spreads:
        at_least = max(FOR_STEPS, LASTING * length(spread))
        span = last_span_beyond(spread, "<", INACTIVE, at_least=at_least)
        if span is not None:
            name, level = where_of(spread.name), end_level(between(spread, *span))
            yield Finding(
                "COL007",
                where=name,
                message=(
                    f"no dimension of {shown(name)} has varied by more than {level:.1g} over the "
                    f"batch since step {span[0]}"
                ),
                evidence=(Evidence(spread, "<", INACTIVE, span),),
                severity="error" if told and silent else "info",
            )
