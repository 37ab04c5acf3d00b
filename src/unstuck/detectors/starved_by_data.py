"""SYS001 starved-by-data: much of the time passes waiting for the next batch.

## Why is this bad?
While the loop waits for data nothing is trained: a run that waits half of its time could be done in
half the time, on the same machine.

## How it is detected
`wait/data`, the share of the time a DataLoader is waited for (validation is left out), is above
`SHARE` for the second half of the run at least. It is a *warning* where a step waits for longer
than `SLOW`, and an *info* for a training of small steps, where handing over a batch takes its time.
Without a DataLoader, `wait/before_forward`, from the end of a step to the next forward pass, is the
only hint, and an *info*: what is done there may be the work itself (a simulation, a search).

## Example
>>> from unstuck import Run
>>> hungry = Run.of(wait__data=[0.6] * 30, seconds__step=[0.2] * 30)
>>> [(f.message, f.severity) for f in starved_by_data(hungry)]
[('60% of the time goes into waiting for the DataLoader, 0.12 s a step', 'warning')]
>>> close = Run.of(wait__data=[0.35] * 30, seconds__step=[0.035] * 30)
>>> [f.severity for f in starved_by_data(close)]
['warning']
>>> later = Run.of(wait__data=[0.1] * 14 + [0.6] * 26, seconds__step=[0.2] * 40)
>>> len(list(starved_by_data(later)))
1
>>> by_hand = Run.of(wait__before_forward=[0.6] * 30, seconds__step=[0.2] * 30)
>>> [(f.message, f.severity) for f in starved_by_data(by_hand)]
[('60% of a step passes between its end and the next forward pass, 0.12 s a step', 'info')]

## Look-alikes
Workers that keep up, a start from cold files, a step so small that any batch is slow beside it:

>>> list(starved_by_data(Run.of(wait__data=[0.25] * 30, seconds__step=[0.2] * 30)))
[]
>>> list(starved_by_data(Run.of(wait__data=[0.8] * 8 + [0.1] * 32, seconds__step=[0.2] * 40)))
[]
>>> list(starved_by_data(Run.of(wait__data=[0.1] * 22 + [0.6] * 18, seconds__step=[0.2] * 40)))
[]
>>> small = Run.of(wait__data=[0.5] * 30, seconds__step=[0.018] * 30)
>>> [f.severity for f in starved_by_data(small)]
['info']

## What to try
`add-data-workers`

## References
- Mohan et al., Analyzing and Mitigating Data Stalls in DNN Training, 2021,
  <https://arxiv.org/abs/2007.06775>
- PyTorch, Performance Tuning Guide,
  <https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series, Severity
from unstuck.signals.levels import median
from unstuck.signals.spans import last_span_beyond
from unstuck.signals.windows import FEW, in_windows

SHARE = 0.3  # of the time; healthy loaders took 0.08 of it at most, sick ones 0.9 (LOG.md)
SLOW = 0.01  # seconds a step: at 100 steps a second a run is rarely long enough to matter
LASTING = 0.5  # of the run: what is slow at the start only is the reading of cold files


@detector("SYS001", needs=("seconds/step", "wait/*"), explains=("SYS004",))
def starved_by_data(run: Run) -> Iterator[Finding]:
    step = median(run.series["seconds/step"])
    for name in ("wait/data", "wait/before_forward"):
        if name not in run.series:
            continue
        calm = in_windows(_after_start(run.series[name]), FEW)
        span = last_span_beyond(calm, ">", SHARE, at_least=LASTING * run.last_step)
        if span is None or not step > 0:
            return  # where a DataLoader is seen, what it takes is the answer
        share = min(median(calm), 1.0)
        loader = name == "wait/data"
        what = (
            "of the time goes into waiting for the DataLoader"
            if loader
            else "of a step passes between its end and the next forward pass"
        )
        severity: Severity = "warning" if loader and share * step > SLOW else "info"
        yield Finding(
            "SYS001",
            where="data",
            message=f"{share:.0%} {what}, {share * step:.2g} s a step",
            evidence=(Evidence(calm, ">", SHARE, span),),
            severity=severity,
        )
        return


def _after_start(series: Series) -> Series:
    """Without the first reading: workers start, files are cold."""
    return Series(series.name, series.step[1:], series.value[1:])
