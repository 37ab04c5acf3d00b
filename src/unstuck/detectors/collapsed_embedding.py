"""COL004 collapsed-embedding: a latent hardly varies from sample to sample any more.

## Why is this bad?
What depends on it sees the same code for every input and can only give the average answer, however
long it trains. The term that pulled the codes together reads as a success: it falls to nothing.

## How it is detected
`latent/<x>/batch_std`, the spread over the batch at fixed position, falls below `COLLAPSED` of its
own start and below `FLAT` of the latent's size (`latent/<x>/rms`), and stays there to the end for
at least `LASTING` of the run, or anywhere for `MOSTLY` of it (then a *warning*). A spread over
positions is no proof of life: padding alone gives an encoder a fixed pattern. The message names the
term that fell with it, or else the term whose descent most steadily draws the codes together
(`latent/<x>/pull/<loss>:<term>`). Where the probe `path-reliance` found that skips carry every path
(`CARRIED` times the error without them), nothing depends on the latent, and it is an *info*.

## Example
>>> from unstuck import Run
>>> def run(end, rms=0.1, since=75, content=0.0008):
...     return Run.of(**{
...         "latent/model.encoder/batch_std": [0.1] * since + [end] * (100 - since),
...         "latent/model.encoder/rms": [0.15] * since + [rms] * (100 - since),
...         "term/loss/content": [0.2] * since + [content] * (100 - since),
...         "term/loss/cross": [0.7] * 100})
>>> [finding.message for finding in collapsed_embedding(run(0.0045))]
['latent model.encoder varies 4.5% of its start over the batch since step 75, as
term content fell to 0.0008']
>>> [finding.message for finding in collapsed_embedding(run(0.0045, content=0.2))]
['latent model.encoder varies 4.5% of its start over the batch since step 75']

## Look-alikes
A latent that only tightens, one that shrinks as a whole and keeps its relative spread, one that
comes back soon, and one that had little time:

>>> collapsed_embedding(run(0.0075, rms=0.2))
[]
>>> collapsed_embedding(run(0.0045, rms=0.07))
[]
>>> def back(at):
...     return Run.of(**{"latent/z/batch_std": [0.1] * 10 + [0.002] * at + [0.08] * (90 - at),
...                      "latent/z/rms": [0.1] * 100})
>>> collapsed_embedding(back(45))
[]
>>> [finding.severity for finding in collapsed_embedding(back(70))]
['warning']
>>> def carried(skips):
...     facts = {"reliance/cross/skips": skips, "reliance/cross/bottleneck": 1.0}
...     return Run(run(0.0045).series, facts=facts)
>>> [f.severity for r in (carried(1.6), carried(1.0)) for f in collapsed_embedding(r)]
['info', 'error']
>>> collapsed_embedding(run(0.0045, since=85))
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
from unstuck.records import Evidence, Finding, Run, Series, Severity
from unstuck.signals.align import over
from unstuck.signals.levels import end_level, highest_start
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import between, last_span_beyond, length, longest_span_beyond
from unstuck.signals.terms import fallen_term, pulling_term

COLLAPSED = 0.06  # of its start; healthy encoders kept 0.12 or more, collapsed ones 0.033 or less
FLAT = 0.05  # of the root mean square; healthy encoders had 0.09 or more, collapsed ones 0.037
LASTING = 0.2  # share of the run; a healthy latent was never below the limits (LOG.md)
MOSTLY = 0.5  # share of the run; a latent that came back after 0.55 of it had cost it half (LOG.md)
CARRIED = 1.25  # times the error; skips that carried a path gave 1.46 to 5.4, others 1.0 (LOG.md)


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
        relative, limit = (
            over(spread, size, f"{spread.name} / rms"),
            COLLAPSED * highest_start(spread),
        )
        span = _collapse(spread, relative, limit)
        if span is None:
            continue
        latent = where_of(spread.name)
        yield Finding(
            "COL004",
            where=latent,
            message=(
                f"latent {shown(latent, 24)} varies {100 * _level(spread, span):.2g}% of its start "
                f"over the batch {_when(spread, span)}{_culprit(run, latent)}"
            ),
            evidence=(
                Evidence(spread, "<", limit, span),
                Evidence(relative, "<", FLAT, span),
            ),
            severity=_severity(run, to_the_end=span[1] == spread.step[-1]),
        )


def _severity(run: Run, *, to_the_end: bool) -> Severity:
    paths = {name.split("/")[1] for name in run.facts_matching("reliance/*/*")}
    skips = [run.facts.get(f"reliance/{path}/skips", 0.0) for path in paths]
    if skips and all(isinstance(s, int | float) and s > CARRIED for s in skips):
        return "info"
    return "error" if to_the_end else "warning"


def _collapse(spread: Series, relative: Series, limit: float) -> tuple[int, int] | None:
    """First and last step of the stretch in which the spread is small both ways."""
    both = np.isin(spread.step, relative.step[relative.value < FLAT]) & (spread.value < limit)
    small = Series(spread.name, spread.step, both.astype(float))
    return last_span_beyond(small, ">", 0.5, at_least=LASTING * length(spread)) or (
        longest_span_beyond(small, ">", 0.5, at_least=MOSTLY * length(spread))
    )


def _when(spread: Series, span: tuple[int, int]) -> str:
    return (
        f"since step {span[0]}" if span[1] == spread.step[-1] else f"in steps {span[0]}-{span[1]}"
    )


def _level(spread: Series, span: tuple[int, int]) -> float:
    """Spread within a span as a share of its start."""
    return end_level(between(spread, *span)) / highest_start(spread)


def _culprit(run: Run, latent: str) -> str:
    """The term that fell with the spread, or the one that pulls the codes together most."""
    fallen = fallen_term(run, COLLAPSED)
    if fallen is not None:
        return f", as term {shown(fallen.name, 16)} fell to {end_level(fallen.values):.2g}"
    pulling = pulling_term(run, latent)
    return f"; term {shown(pulling.name, 16)} pulls its codes together most" if pulling else ""
