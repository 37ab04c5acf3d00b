"""SKP004 leaking-noise: the noise of the input comes out again.

## Why is this bad?
A denoiser that hands on most of the noise it is given has learned that noise is part of the
answer: its training pairs share it, or the skips carry it past all that could tell it apart. The
loss does not show this where the answers hold noise themselves.

## How it is detected
Facts of the probe `echo`, which exist where input minus answer looks like noise. More than
`PASSED` of fresh noise of that size reappears in the output, while that size is above `ROUGH` of
the answer's standard deviation: of less, the best denoiser has to pass most. Only after `EARLY`
updates: a residual network begins by passing everything.

## Example
>>> from unstuck import Run
>>> def run(noise, asked=0.4, steps=220):
...     facts = {"noise": noise, "asked": asked, "steps": steps}
...     return Run.of(facts={f"echo/model/{name}": value for name, value in facts.items()})
>>> [finding.message for finding in leaking_noise(run(0.8))]
['model: 80% of fresh noise in the input, 0.4 of the spread of the answer, comes out again']

## Look-alikes
A denoiser that leaves a third of the noise, one of little noise, one that has hardly begun:

>>> leaking_noise(run(0.45))
[]
>>> leaking_noise(run(0.8, asked=0.25))
[]
>>> leaking_noise(run(0.8, steps=150))
[]

## What to try
`use-pairs-of-own-noise`, `drop-skips-at-random`

## References
- Lehtinen et al., Noise2Noise, 2018 (the noise of the two must be independent),
  <https://arxiv.org/abs/1803.04189>
- Stein, Estimation of the Mean of a Multivariate Normal Distribution, 1981 (what the best denoiser
  passes), <https://doi.org/10.1214/aos/1176345632>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.echoes import echoing, told, updates
from unstuck.signals.names import shown

PASSED = 0.6  # our runs: shared noise 0.79 and more, trained denoisers of that level up to 0.36
ROUGH = 0.3  # of the answer's spread; good denoisers pass up to 0.73 at 0.21, 0.56 at 0.26, LOG.md
EARLY = 200  # updates; a residual denoiser of ours passes 0.47 after 30, LOG.md


@detector("SKP004", needs_facts=("echo/*/noise",))
def leaking_noise(run: Run) -> Iterator[Finding]:
    for model in echoing(run):
        noise, asked = told(run, model, "noise"), told(run, model, "asked")
        if noise > PASSED and asked > ROUGH and updates(run, model) > EARLY:
            yield Finding(
                "SKP004",
                where=model,
                message=(
                    f"{shown(model, 24)}: {noise:.0%} of fresh noise in the input, {asked:.2g} of "
                    "the spread of the answer, comes out again"
                ),
                evidence=(
                    Evidence.of_fact(run, f"echo/{model}/noise", ">", PASSED),
                    Evidence.of_fact(run, f"echo/{model}/asked", ">", ROUGH),
                ),
            )
