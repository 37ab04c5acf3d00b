"""COL004 collapsed-embedding: a latent hardly varies from sample to sample any more.

## Why is this bad?
What depends on it sees the same code for every input and can only give the average answer, however
long it trains. The term that pulled the codes together reads as a success: it falls to nothing.

## How it is detected
The relative spread, `latent/<x>/batch_std` (over the batch at fixed position) over the latent's
size `latent/<x>/rms`, falls below `FLAT` and below `COLLAPSED` of its own highest, and stays there
to the end for at least `LASTING` of the run, or anywhere for `MOSTLY` of it (then a *warning*). So
codes that turn into one direction count as well, though they grow. A spread over positions is no
proof of life: padding alone gives an encoder a fixed pattern. The message names the term that fell
with it, or else the term whose descent most steadily draws the codes together
(`latent/<x>/pull/<loss>:<term>`). Where the probe `path-reliance` found that skips carry every path
(`CARRIED` times the error without them), nothing depends on the latent, and it is an *info*.

## Example
>>> from unstuck import Run
>>> def run(end, rms=0.1, since=75, content=0.01, start=0.1):
...     return Run.of(**{
...         "latent/model.encoder/batch_std": [start] * since + [end] * (100 - since),
...         "latent/model.encoder/rms": [0.2] * since + [rms] * (100 - since),
...         "term/loss/content": [0.2] * since + [content] * (100 - since),
...         "term/loss/cross": [0.7] * 100})
>>> [finding.message for finding in collapsed_embedding(run(0.0045))]
['latent model.encoder varies 4.5% of its size over the batch since step 75, as
term content fell to 0.01']
>>> narrow = run(0.0525, rms=0.7, content=0.014, start=0.05)
>>> [finding.message for finding in collapsed_embedding(narrow)]
['latent model.encoder varies 7.5% of its size over the batch since step 75']

## Look-alikes
A latent that only tightens, one that varied little from the start, one that shrinks as a whole and
keeps its relative spread, one that comes back soon, and one that had little time:

>>> collapsed_embedding(run(0.012))
[]
>>> collapsed_embedding(run(0.008, start=0.036))
[]
>>> collapsed_embedding(run(0.0045, rms=0.01))
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

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Severity
from unstuck.signals.align import over
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import (
    between,
    finite,
    last_span_beyond,
    length,
    longest_span_beyond,
)
from unstuck.signals.terms import fallen_term, pulling_term

FLAT = 0.1  # of the root mean square; healthy latents kept 0.19 or more, collapsed ones 0.071
COLLAPSED = 0.35  # of its highest; healthy latents kept 0.6 or more, collapsed ones 0.26 (LOG.md)
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
        relative = finite(over(spread, size, f"{spread.name} / rms"))
        if not len(relative):
            continue
        best = float(relative.value.max())
        limit = min(FLAT, COLLAPSED * best)
        span = last_span_beyond(relative, "<", limit, at_least=LASTING * length(relative)) or (
            longest_span_beyond(relative, "<", limit, at_least=MOSTLY * length(relative))
        )
        if span is None:
            continue
        latent, level = where_of(spread.name), end_level(between(relative, *span))
        to_the_end = span[1] == relative.step[-1]
        when = f"since step {span[0]}" if to_the_end else f"in steps {span[0]}-{span[1]}"
        yield Finding(
            "COL004",
            where=latent,
            message=(
                f"latent {shown(latent, 24)} varies {100 * level:.2g}% of its size over the batch "
                f"{when}{_culprit(run, latent)}"
            ),
            evidence=(Evidence(relative, "<", limit, span),),
            severity=_severity(run, to_the_end=to_the_end),
        )


def _severity(run: Run, *, to_the_end: bool) -> Severity:
    paths = {name.split("/")[1] for name in run.facts_matching("reliance/*/*")}
    skips = [run.facts.get(f"reliance/{path}/skips", 0.0) for path in paths]
    if skips and all(isinstance(s, int | float) and s > CARRIED for s in skips):
        return "info"
    return "error" if to_the_end else "warning"


def _culprit(run: Run, latent: str) -> str:
    """The term that fell with the spread, or the one that pulls the codes together most."""
    fallen = fallen_term(run)
    if fallen is not None:
        return f", as term {shown(fallen.name, 16)} fell to {end_level(fallen.values):.2g}"
    pulling = pulling_term(run, latent)
    return f"; term {shown(pulling.name, 16)} pulls its codes together most" if pulling else ""
