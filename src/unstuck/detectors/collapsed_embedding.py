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

Where no latent was watched, the probe `collapse` is enough: the relative spread now
(`collapse/<code>/spread`) against the one with every layer begun anew (`/began`), by the same
limits, of codes that were asked for or are named like codes (a *warning*).

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

Facts of the probe alone:

>>> from unstuck import diagnose
>>> def probed(spread, began=0.5, found="asked"):
...     facts = {"spread": spread, "began": began, "found": found}
...     run = Run.of(facts={f"collapse/net.encoder/{k}": v for k, v in facts.items()})
...     return [c.finding.message for c in diagnose(run).causes]
>>> probed(0.004)
['code net.encoder varies 0.4% of its size over the samples; begun anew it varies 50%']

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

In a probe: a code that varies, one that did no more before training, and a narrow place that is no
code:

>>> probed(0.12) + probed(0.004, began=0.01) + probed(0.004, found="narrowest")
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
    or_facts=("collapse/*/spread", "collapse/*/began"),
    explains=("OPT004", "SKP001", "LOS001", "LOS002", "GRD001"),
)
def collapsed_embedding(run: Run) -> Iterator[Finding]:
    if not run.matching("latent/*/batch_std"):
        yield from _probed(run)
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


def _probed(run: Run) -> Iterator[Finding]:
    """The spread of codes beside what it is with every layer begun anew."""
    for name, spread in run.facts_matching("collapse/*/spread").items():
        key = name.removesuffix("/spread")
        began = run.facts.get(f"{key}/began")
        code = run.facts.get(f"{key}/found") in ("asked", "name")
        if not code or not isinstance(spread, int | float) or not isinstance(began, int | float):
            continue
        limit = min(FLAT, COLLAPSED * began)
        if spread < limit:
            latent = where_of(name)
            yield Finding(
                "COL004",
                where=latent,
                message=(
                    f"code {shown(latent, 24)} varies {100 * spread:.2g}% of its size over the "
                    f"samples; begun anew it varies {100 * began:.2g}%"
                ),
                evidence=(Evidence.of_fact(run, name, "<", limit),),
                severity=_severity(run, to_the_end=False),
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
