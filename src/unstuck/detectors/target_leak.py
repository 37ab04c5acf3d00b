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

The probe `future` tells the same before anything is learnt, as it exchanges inputs in evaluation
mode: an *error* where targets are the next tokens (`future/<model>/next`) and outputs move with
what follows them (`/seen`), or where classes to predict are the input's own (`/same`), outputs move
with them (`/own`) and with the past (`/past`), but never with the future. Where one column of the
input is the label (`/copied`), it is a *warning*; targets that are numbers are an *info* in both
cases: a coder that runs along with the sound is meant to see it.

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

Facts of the probe alone:

>>> from unstuck import diagnose
>>> def probed(kind="classes", **facts):
...     return Run.of(facts={f"future/net/{k}": v for k, v in (facts | {"kind": kind}).items()})
>>> def told(run):
...     return [(c.finding.message, c.finding.severity) for c in diagnose(run).causes]
>>> told(probed(next=1.0, same=0.02, seen=0.06, own=1.0, past=0.03))
[('net predicts next tokens it is fed: outputs move by 0.06 as only later ones change', 'error')]
>>> told(probed(next=0.02, same=1.0, seen=0.0, own=0.8, past=1.0))
[('targets of net are the tokens it is fed, 100% of them in the same place: they are not shifted',
'error')]
>>> told(probed(copied=1.0, column="column 4", of="classes"))
[('column 4 of the input of net is the label of 100% of the samples', 'warning')]

## Look-alikes
A mask, hidden words, an autoencoder (which sees its input as a whole), and targets of another kind:

>>> target_leak(run(future=0.0)) + target_leak(run(0.03, 0.03)) + target_leak(run(1.0, 0.03))
[]
>>> target_leak(run(following=0.8)) + target_leak(run(future=8e-5))
[]

A mask, hidden words, an autoencoder, targets shifted inside of the model, and a streaming coder:

>>> told(probed(next=1.0, same=0.02, seen=0.0, own=1.0, past=0.03))
[]
>>> told(probed(next=0.02, same=0.85, seen=0.06, own=1.0, past=0.03))
[]
>>> told(probed(next=0.02, same=1.0, seen=0.7, own=0.7, past=0.9))
[]
>>> told(probed(next=0.02, same=1.0, seen=0.0, own=0.0, past=1.0))
[]
>>> [word for _, word in told(probed("numbers", next=0.02, same=1.0, seen=0.0, own=0.8, past=1.0))]
['info']

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
    or_facts=("future/*/*",),
    explains=("GEN004",),
)
def target_leak(run: Run) -> Iterator[Finding]:
    probed = list(_probed(run))
    yield from probed
    if any(finding.severity == "error" for finding in probed):
        return
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
            message = _unshifted(model, median(same))
        if evidence:
            severity: Severity = "error" if learned else "info"
            yield Finding("SEQ003", model, message, evidence, severity)


def _probed(run: Run) -> Iterator[Finding]:
    """What the probe `future` has found."""
    for model in sorted({name.split("/")[1] for name in run.facts_matching("future/*/*")}):
        facts = {n.rsplit("/", 1)[1]: v for n, v in run.facts_matching(f"future/{model}/*").items()}
        known = {what: float(v) for what, v in facts.items() if isinstance(v, int | float)}
        sure: Severity = "error" if facts.get("kind") == "classes" else "info"
        looks = known.get("seen", 0.0) > SEES
        what: tuple[str, ...]
        if looks and known.get("next", 0.0) > TARGETS:
            what, sure = ("next", "seen"), "error"
            message = (
                f"{shown(model, 32)} predicts next tokens it is fed: outputs move by "
                f"{known['seen']:.2g} as only later ones change"
            )
        elif (
            not looks
            and known.get("same", 0.0) > TARGETS
            and min(known.get("own", 0.0), known.get("past", 0.0)) > SEES
        ):
            what = ("same", "own", "past")
            message = _unshifted(model, known["same"])
        elif known.get("copied", 0.0) > TARGETS:
            column = str(facts.get("column", ""))
            what = ("copied",)
            message = (
                f"{shown(column, 24)} of the input of {shown(model, 24)} is the label of "
                f"{known['copied']:.0%} of the samples"
            )
            certain = facts.get("of") == "classes" and column.startswith("column")
            sure = "warning" if certain else "info"
        else:
            continue
        limits = {"seen": SEES, "own": SEES, "past": SEES}
        evidence = tuple(
            Evidence.of_fact(run, f"future/{model}/{w}", ">", limits.get(w, TARGETS)) for w in what
        )
        yield Finding("SEQ003", model, message, evidence, sure)


def _unshifted(model: str, share: float) -> str:
    return (
        f"targets of {shown(model, 24)} are the tokens it is fed, {share:.0%} of them in the same "
        "place: they are not shifted"
    )


def _always(series: Series, limit: float) -> tuple[int, int] | None:
    """The whole span of a series that never was below a limit."""
    known = finite(series)
    span = last_span_beyond(known, ">", limit)
    return span if span and span[0] == known.step[0] else None
