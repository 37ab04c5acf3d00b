"""COL004 collapsed-embedding: a latent hardly varies from sample to sample any more.

## Why is this bad?
What depends on it sees the same code for every input and can only give the average answer, however
long it trains. The term that pulled the codes together reads as a success: it falls to nothing.

## How it is detected
`latent/<x>/batch_std`, the spread over the batch at fixed position, falls below `COLLAPSED` of its
own start and below `FLAT` of the latent's size (`latent/<x>/rms`), and stays there for at least
`LASTING` of the run, to its end. A spread over positions is no proof of life: padding alone gives
an encoder a fixed pattern. The message names the term that fell with it, or else the term whose
descent most steadily draws the codes together (`latent/<x>/pull/<loss>:<term>`).

## Example
>>> from unstuck import Run
>>> def run(end, rms=0.1, since=75, content=0.0008):
...     return Run.of(**{
...         "latent/model.encoder/batch_std": [0.1] * since + [end] * (100 - since),
...         "latent/model.encoder/rms": [0.15] * since + [rms] * (100 - since),
...         "term/loss/content": [0.2] * since + [content] * (100 - since),
...         "term/loss/cross": [0.7] * 100})
>>> [finding.message for finding in collapsed_embedding(run(0.0035))]
['latent model.encoder varies 3.5% of its start over the batch since step 75, as
term content fell to 0.0008']
>>> [finding.message for finding in collapsed_embedding(run(0.0035, content=0.2))]
['latent model.encoder varies 3.5% of its start over the batch since step 75']

## Look-alikes
A latent that only tightens, one that shrinks as a whole and keeps its relative spread, one that
comes back, and one that had little time:

>>> collapsed_embedding(run(0.006, rms=0.2))
[]
>>> collapsed_embedding(run(0.0035, rms=0.05))
[]
>>> collapsed_embedding(run(0.1, since=90))
[]
>>> collapsed_embedding(run(0.0035, since=85))
[]

## What to try
`lower-term-weight`, `add-variance-term`, `stop-gradient-on-target`

## References
- Bardes, Ponce & LeCun, VICReg (collapse and variance over the batch), 2022,
  <https://arxiv.org/abs/2105.04906>
- Chen & He, Exploring Simple Siamese Representation Learning, 2021,
  <https://arxiv.org/abs/2011.10566>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.levels import end_level, share_left, start_level
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import last_span_beyond, length
from unstuck.signals.terms import fallen_term, pulling_term

COLLAPSED = 0.05  # of its start; healthy encoders kept 0.3 or more, collapsed ones 0.001 (LOG.md)
FLAT = 0.05  # of the root mean square; healthy encoders had 0.1 or more (LOG.md)
LASTING = 0.2  # share of the run; latents that came back did so sooner (LOG.md)


@detector(
    "COL004",
    needs=("latent/*/batch_std", "latent/*/rms"),
    explains=("OPT004", "SKP001", "LOS001", "LOS002", "GRD001"),
)
def collapsed_embedding(run: Run) -> Iterator[Finding]:
    for spread in run.matching("latent/*/batch_std"):
        size = run.series.get(spread.name.removesuffix("batch_std") + "rms")
        if size is None:
            continue
        relative, limit = _over(spread, size), COLLAPSED * start_level(spread)
        lasting = LASTING * length(spread)
        small = last_span_beyond(spread, "<", limit, at_least=lasting)
        flat = last_span_beyond(relative, "<", FLAT, at_least=lasting)
        if not small or not flat:
            continue
        since = max(small[0], flat[0])
        latent = where_of(spread.name)
        yield Finding(
            "COL004",
            where=latent,
            message=(
                f"latent {shown(latent, 24)} varies {share_left(spread):.1%} of its start over the "
                f"batch since step {since}{_culprit(run, latent)}"
            ),
            evidence=(
                Evidence(spread, "<", limit, (since, small[1])),
                Evidence(relative, "<", FLAT, (since, flat[1])),
            ),
            severity="error",
        )


def _over(spread: Series, size: Series) -> Series:
    """The spread relative to the latent's size, at the steps where both were read."""
    steps = np.intersect1d(spread.step, size.step)
    top = spread.value[np.isin(spread.step, steps)]
    bottom = size.value[np.isin(size.step, steps)]
    ratio = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
    return Series(f"{spread.name} / rms", steps, ratio)


def _culprit(run: Run, latent: str) -> str:
    """The term that fell with the spread, or the one that pulls the codes together most."""
    fallen = fallen_term(run, COLLAPSED)
    if fallen is not None:
        return f", as term {shown(fallen.name, 16)} fell to {end_level(fallen.values):.2g}"
    pulling = pulling_term(run, latent)
    return f"; term {shown(pulling.name, 16)} pulls its codes together most" if pulling else ""
