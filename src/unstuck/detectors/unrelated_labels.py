"""DAT004 unrelated-labels: labels have nothing to do with the inputs they stand beside.

## Why is this bad?
Nothing can be learned but the labels' frequencies; a network that is large enough learns the
samples by heart instead, which looks like overfitting. Usually a join by the wrong key, a column
that was shuffled or sorted alone, or an index that is off by one.

## How it is detected
Facts of the probe `labels`: over at least `FEWEST` different samples no simple probe tells the
labels from the inputs better than shuffled ones (p above `CHANCE`), where a correlation below
`DETECTABLE` would have been noticed. *warning*: after `STEPS` steps of training the model knows
nothing of them either: shuffled labels raise its loss, on held-out batches where there are some,
less than `KNOWS` times. Before training, or where its loss on the training batches tells labels
from shuffled ones (a rule that no simple probe sees, or samples learned by heart), it is an *info*;
where that is so of held-out batches, nothing is wrong.

## Example
>>> from unstuck import Run
>>> def run(p=0.5, detectable=0.05, samples=640, steps=300, **ratios):
...     known = {"p": p, "detectable": detectable, "samples": samples, "correlation": 0.01}
...     known |= ratios or {"loss_ratio": 1.0}
...     facts = {f"labels/model/{name}": value for name, value in known.items()}
...     return Run.of(facts=facts, loss__train=[2.3] * steps)
>>> def told(run):
...     return [finding.severity for finding in unrelated_labels(run)]
>>> [finding.message for finding in unrelated_labels(run())]
['model: labels of 640 samples are told from inputs no better than shuffled ones (p = 0.50)']
>>> told(run()), told(run(steps=120)), told(run(p=0.12)), told(run(detectable=0.055))
(['warning'], ['warning'], ['warning'], ['warning'])
>>> told(run(samples=220)), told(run(loss_ratio=1.3, held_out_loss_ratio=1.0))
(['warning'], ['warning'])
>>> told(run(steps=70)), told(run(loss_ratio=1.09))
(['info'], ['info'])

## Look-alikes
Labels that are told, if only just; too few samples to have shown it; labels that may well have a
hundredth of their variance in common with the inputs, as prices and clicks do (of two classes and
of single targets some thousand samples cannot tell); a rule that no simple probe sees and that the
model has learnt:

>>> told(run(p=0.08)) + told(run(samples=150)) + told(run(detectable=0.07))
[]
>>> told(run(loss_ratio=1.3, held_out_loss_ratio=1.2))
[]

## What to try
`use-labels-of-the-same-sample`

## References
- Zhang et al., Understanding Deep Learning Requires Rethinking Generalization, 2017,
  <https://arxiv.org/abs/1611.03530>
- Ojala & Garriga, Permutation Tests for Studying Classifier Performance, 2010,
  <https://jmlr.org/papers/v11/ojala10a.html>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Finding, Run
from unstuck.signals.known import from_the_start, known
from unstuck.signals.names import shown

CHANCE = 0.1  # where samples suffice, weak relations have less in nine of ten cases
DETECTABLE = 0.06  # correlation; digits with four of five labels random have 0.10 (LOG.md)
FEWEST = 200  # samples; hard tasks show next to nothing in fewer (LOG.md)
STEPS = 100  # of training, after which a network that can learn at all knows something
KNOWS = 1.05  # times the loss; held-out batches of random labels gave 0.98 to 1.02 (LOG.md)


@detector(
    "DAT004",
    needs_facts=("labels/*/p", "labels/*/detectable"),
    explains=("GEN001", "GEN002", "GEN003", "OPT002", "OPT004"),
)
def unrelated_labels(run: Run) -> Iterator[Finding]:
    for name in run.facts_matching("labels/*/p"):
        place = name.removesuffix("/p")
        p, detectable, samples = (
            known(run, f"{place}/{what}") for what in ("p", "detectable", "samples")
        )
        if not (p > CHANCE and 0 < detectable < DETECTABLE and samples >= FEWEST):
            continue
        held, trained = f"{place}/held_out_loss_ratio", f"{place}/loss_ratio"
        asked = held if held in run.facts else trained
        knows = known(run, asked) >= KNOWS
        if knows and asked == held:
            continue
        steps = max((s.step[-1] for s in run.matching("loss/*") if len(s)), default=0)
        sure = 0 < known(run, asked) < KNOWS and steps >= STEPS
        where = place.split("/", 1)[1]
        evidence = [from_the_start(run, name, ">", CHANCE)]
        if sure:
            evidence.append(from_the_start(run, asked, "<", KNOWS))
        yield Finding(
            "DAT004",
            where=where,
            message=(
                f"{shown(where, 24)}: labels of {samples:g} samples are told from inputs no better "
                f"than shuffled ones (p = {p:.2f})"
            ),
            evidence=tuple(evidence),
            severity="warning" if sure else "info",
        )
