"""SKP001 skip-reliance: the output comes from the skips; the bottleneck adds next to nothing.

## Why is this bad?
Where the skips are not there at use, or carry the answer only in training, nothing is left.

## How it is detected
Facts of the probe `path-reliance`, which finds the skips around a lower resolution by itself, or is
told of a path; errors over the error of the intact model. *warning*: with the skips zeroed the
error grows more than `DESTROYED` times, and another sample's bottleneck costs less than `UNUSED` of
what zeroed skips cost. *error*: with only what is known at use the error grows more than `LEAKS`
times, because the skips held features of the answer in training.

*info* for a model whose answer lies near its input (the probe `echo` found it nearer than `NEAR` of
the answer's standard deviation, or apart by noise alone): a denoiser has good reason to hand the
picture past its bottleneck. Not for an autoencoder, whose code is what is wanted of it.

## Example
>>> from unstuck import Run
>>> def run(skips=1.0, bottleneck=1.3, **more):
...     facts = {"reliance/cross/skips": skips, "reliance/cross/bottleneck": bottleneck, **more}
...     return Run.of(facts=facts)
>>> [finding.message for finding in skip_reliance(run(3.0, 1.008))]
['path cross: error x3 without its skips, x1.01 with the bottleneck of another sample']
>>> [(f.message, f.severity) for f in skip_reliance(run(**{"reliance/cross/leak": 2.5}))]
[('path cross: error x2.5 with only what is known at use: its skips hold the answer', 'error')]

## Look-alikes
Skips that help, skips that are needed beside a bottleneck that is needed too, and an error that is
a little larger at use:

>>> skip_reliance(run(1.8, 1.0))
[]
>>> skip_reliance(run(3.0, 1.012))
[]
>>> skip_reliance(run(**{"reliance/cross/leak": 1.5}))
[]

A denoiser, whose skips are the natural way:

>>> near = {"echo/cross/asked": 0.9, "echo/cross/identity": 0.8}
>>> [finding.severity for finding in skip_reliance(run(9.0, 1.0, **near))]
['info']
>>> [f.severity for f in skip_reliance(run(9.0, 1.0, **{"echo/cross/asked": 1.4}))]
['warning']
>>> [f.severity for f in skip_reliance(run(9.0, 1.0, **{"echo/cross/asked": 0.0}))]
['warning']

## What to try
`drop-skips-at-random`, `use-source-skips`

## References
- Ronneberger, Fischer & Brox, U-Net, 2015, <https://arxiv.org/abs/1505.04597>
- Geirhos et al., Shortcut Learning in Deep Neural Networks, 2020,
  <https://arxiv.org/abs/2004.07780>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.known import known
from unstuck.signals.names import shown

# All three: U-nets on digits and on MRI contrasts, LOG.md.
DESTROYED = 2.2  # times the error; where the bottleneck is unused, skips gave 2.7 to 51, or 1.8
UNUSED = 0.005  # of the skips' cost; bottlenecks that are used gave 0.010 and more, others 0.003
NEAR = 1.0  # of the answer's deviation: a copy of the input is nearer than the mean answer
LEAKS = 2.0  # times the error; skips of the answer gave 3.7 to 24, those of the input 1


@detector("SKP001", needs_facts=("reliance/*",), explains=("OPT004", "LOS002", "GEN001"))
def skip_reliance(run: Run) -> Iterator[Finding]:
    for path in sorted({name.split("/")[1] for name in run.facts_matching("reliance/*/*")}):
        skips, bottleneck, leak = (
            f"reliance/{path}/{what}" for what in ("skips", "bottleneck", "leak")
        )
        if known(run, leak) > LEAKS:
            yield Finding(
                "SKP001",
                where=path,
                message=(
                    f"path {shown(path, 24)}: error x{known(run, leak):.3g} with only what is "
                    "known at use: its skips hold the answer"
                ),
                evidence=(Evidence.of_fact(run, leak, ">", LEAKS),),
                severity="error",
            )
            continue
        unused = 1 + UNUSED * (known(run, skips) - 1)
        if known(run, skips) > DESTROYED and 0 < known(run, bottleneck) < unused:
            yield Finding(
                "SKP001",
                where=path,
                message=(
                    f"path {shown(path, 24)}: error x{known(run, skips):.3g} without its skips, "
                    f"x{known(run, bottleneck):.3g} with the bottleneck of another sample"
                ),
                evidence=(
                    Evidence.of_fact(run, skips, ">", DESTROYED),
                    Evidence.of_fact(run, bottleneck, "<", unused),
                ),
                severity="info" if _answer_is_near(run, path.split(":")[0]) else "warning",
            )


def _answer_is_near(run: Run, model: str) -> bool:
    noisy = f"echo/{model}/noise" in run.facts
    return noisy or 0 < known(run, f"echo/{model}/asked") < NEAR
