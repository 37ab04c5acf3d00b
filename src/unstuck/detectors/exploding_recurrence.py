"""SEQ001 exploding-recurrence: gradients grow by orders of magnitude on their way back in time.

## Why is this bad?
A recurrence multiplies a gradient by the same weights at every time step. Where that makes it
larger, one step of the optimizer is governed by the first few time steps and throws the weights
anywhere; clipping makes the step short, but it leaves its direction what it is.

## How it is detected
`recurrence/<model>.<layer>/gradient_ratio`, the gradient at the first time steps over that at the
last ones, is above `LIMIT` in the median of the run. Or it was so among the first readings, and no
loss came out of it: none fell to `LEFT` of its level at a quarter of the run since.

## Example
>>> from unstuck import Run
>>> def run(ratio, loss=2.3):
...     losses = [5.0] * 5 + [2.3] * 35 + [loss] * 60
...     return Run.of(**{"recurrence/net.rnn/gradient_ratio": ratio, "loss/train": losses})
>>> [f.message for f in exploding_recurrence(run([1.2e4] * 100, loss=0.1))]
['gradients of net.rnn are 1e+04 times as large at its first time steps as at its last']
>>> [f.message for f in exploding_recurrence(run([1.2e4] * 3 + [0.1] * 97))]
['gradients of net.rnn were 1e+04 times as large at its first time steps as at its last, at step 0']
>>> [f.where for f in exploding_recurrence(run([1.2e4] * 3 + [0.1] * 97, loss=1.9))]
['net.rnn']

## Look-alikes
Recurrences near the edge, which carry gradients the farthest, one that was loud at first and was
tamed, and one that forgets:

>>> exploding_recurrence(run([8e3] * 100)) + exploding_recurrence(run([1e-9] * 100))
[]
>>> exploding_recurrence(run([1.2e4] * 3 + [0.1] * 97, loss=1.5))
[]

## What to try
`rescale-initialisation`, `clip-gradients`

## References
- Pascanu, Mikolov & Bengio, On the Difficulty of Training Recurrent Neural Networks, 2013,
  <https://arxiv.org/abs/1211.5063>
- Le, Jaitly & Hinton, A Simple Way to Initialize Recurrent Networks of Rectified Linear Units,
  2015, <https://arxiv.org/abs/1504.00941>
"""

from collections.abc import Iterator

import numpy as np

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series
from unstuck.signals.levels import FIRST, end_level, median, start_level
from unstuck.signals.names import shown, where_of
from unstuck.signals.spans import finite, from_step, length

LIMIT = 1e4  # times; recurrences that learn reach 300, exploding ones 2e4 to 1e8 (LOG.md)
LEFT = (
    0.75  # of the level at a quarter of the run; stuck ones keep 0.9 up, tamed ones less (LOG.md)
)


@detector(
    "SEQ001",
    needs=("recurrence/*/gradient_ratio",),
    explains=("OPT001", "OPT003", "OPT004", "OPT005", "OPT013", "NUM001", "GRD001"),
)
def exploding_recurrence(run: Run) -> Iterator[Finding]:
    for series in run.matching("recurrence/*/gradient_ratio"):
        ratio = finite(series)
        if len(ratio) < 2:
            continue
        lasting = median(ratio)
        first = Series(ratio.name, ratio.step[:FIRST], ratio.value[:FIRST])
        loudest = int(np.argmax(first.value))
        at, most = int(first.step[loudest]), float(first.value[loudest])
        layer = where_of(series.name)
        if lasting > LIMIT:
            level = Series(f"{series.name} (median)", ratio.step[-1:], np.array([lasting]))
            last = int(ratio.step[-1])
            told, evidence = f"are {lasting:.0e}", Evidence(level, ">", LIMIT, (last, last))
            when = ""
        elif most > LIMIT and not _learned(run):
            told, evidence = f"were {most:.0e}", Evidence(series, ">", LIMIT, (at, at))
            when = f", at step {at}"
        else:
            continue
        yield Finding(
            "SEQ001",
            where=layer,
            message=(
                f"gradients of {shown(layer, 24)} {told} times as large at its first time steps as "
                f"at its last{when}"
            ),
            evidence=(evidence,),
        )


def _learned(run: Run) -> bool:
    """Whether a loss has fallen since a quarter of the run, or it is too early to tell."""
    losses = [finite(s) for s in run.matching("loss/*")]
    later = [from_step(s, int(s.step[0]) + length(s) // 4) for s in losses if len(s) > 1]
    shares = [end_level(s) / start_level(s) for s in later if start_level(s) > 0]
    return not shares or min(shares) <= LEFT
