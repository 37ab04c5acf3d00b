"""SEQ003 target-leak: a model of a sequence sees the very tokens it must predict.

## Why is this bad?
It learns to copy. The loss falls far below what any honest model reaches, on held-out data, too,
and where it is used, the tokens it copied are not there.

## How it is detected
Either the targets are the next tokens of the input (`leak/<model>/next`) and the gradient of the
first half's predictions falls on the second half of the input (`leak/<model>/future` above `SEES`):
there is no mask. Or the targets are the input itself (`leak/<model>/same`), though no place sees
what follows it: they were not shifted. Both shares must be above `TARGETS`. An *error* where a loss
has fallen below `LEARNED` of its start, else an *info*: something lets the future through (batch
statistics do), and the model has not made use of it.

## Example
>>> from unstuck import Run
>>> def run(same=0.03, following=1.0, future=0.01, end=0.2):
...     return Run.of(leak__net__same=[same] * 20, leak__net__next=[following] * 20,
...                   leak__net__future=[future] * 4, loss__train=[3.7] * 10 + [end] * 10)
>>> [(f.message, f.severity) for f in target_leak(run())]
[('net predicts next tokens it is fed: 0.01 of its gradient comes from the future', 'error')]
>>> [f.message for f in target_leak(run(1.0, 0.03, future=0.0))]
['targets of net are the tokens it is fed, 100% of them in the same place: they are not shifted']
>>> [len(target_leak(run(following=0.97))), len(target_leak(run(future=1.2e-4)))]
[1, 1]
>>> [f.severity for r in (run(end=0.8), run(end=1.1)) for f in target_leak(r)]
['error', 'info']

## Look-alikes
A mask, hidden words, an autoencoder (which sees its input as a whole), and targets of another kind:

>>> target_leak(run(future=0.0)) + target_leak(run(0.03, 0.03)) + target_leak(run(1.0, 0.03))
[]
>>> target_leak(run(following=0.8)) + target_leak(run(future=8e-5))
[]

## What to try
`use-causal-mask`

## References
- Vaswani et al., Attention Is All You Need (section 3.2.3, masking), 2017,
  <https://arxiv.org/abs/1706.03762>
- Kapoor & Narayanan, Leakage and the Reproducibility Crisis in Machine-Learning-Based Science,
  2023, <https://arxiv.org/abs/2207.07048>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series, Severity
from unstuck.signals.levels import median, share_left
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, last_span_beyond

TARGETS = 0.95  # share of the tokens; honest targets matched 0.01 to 0.06, leaks all (LOG.md)
SEES = 1e-4  # share of the gradient; without a mask 3e-3 and more, behind one exactly 0 (LOG.md)
LEARNED = (
    0.25  # of the start; honest readers of text kept 0.38 or more, copies 0.03 or less (LOG.md)
)


@detector(
    "SEQ003",
    needs=("leak/*/next", "leak/*/same", "leak/*/future"),
    explains=("GEN004",),
)
def target_leak(run: Run) -> Iterator[Finding]:
    learned = any(share_left(s) < LEARNED for s in run.matching("loss/*"))
    for future in run.matching("leak/*/future"):
        model = future.name.split("/")[1]
        follows, same = (run.series.get(f"leak/{model}/{what}") for what in ("next", "same"))
        sees = _always(future, SEES)
        evidence: tuple[Evidence, ...] = ()
        if sees and follows is not None and (span := _always(follows, TARGETS)):
            evidence = Evidence(follows, ">", TARGETS, span), Evidence(future, ">", SEES, sees)
            message = (
                f"{shown(model, 32)} predicts next tokens it is fed: "
                f"{median(future):.2g} of its gradient comes from the future"
            )
        elif not sees and same is not None and (span := _always(same, TARGETS)):
            evidence = (Evidence(same, ">", TARGETS, span),)
            message = (
                f"targets of {shown(model, 24)} are the tokens it is fed, {median(same):.0%} of "
                "them in the same place: they are not shifted"
            )
        if evidence:
            severity: Severity = "error" if learned else "info"
            yield Finding("SEQ003", model, message, evidence, severity)


def _always(series: Series, limit: float) -> tuple[int, int] | None:
    """The whole span of a series that never was below a limit."""
    known = finite(series)
    span = last_span_beyond(known, ">", limit)
    return span if span and span[0] == known.step[0] else None
