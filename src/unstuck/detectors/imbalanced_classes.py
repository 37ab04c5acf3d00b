"""DAT006 imbalanced-classes: one class is so common that no other is ever named.

## Why is this bad?
The accuracy is the share of the commonest class, high and worth nothing: every sample of another
class is missed.

## How it is detected
The commonest class makes more than `COMMON` of all labels (`target/*/majority`), of the samples of
other classes less than `NAMED` are named rightly (`prediction/*/recall`) for the last `LASTING` of
the run and at least `FOR_STEPS` steps, and at the end more than `SAID` of all predictions are that
class. Where nobody measures an accuracy it is an *info*: of clicks, one in thirty and nobody can
say which, a right model names none either; it is judged by its probabilities.

## Example
>>> from unstuck import Run, Series
>>> def run(common=0.96, recall=0.0, since=10, said=1.0, n=60, measured="accuracy", every=16):
...     values = {"target/bce/majority": [common] * n, f"metric/val/{measured}": [common] * n,
...               "prediction/bce/recall": [0.9] * since + [recall] * (n - since),
...               "prediction/bce/said": [said] * n}
...     steps = [every * i for i in range(n)]
...     return Run({name: Series(name, steps, v) for name, v in values.items()})
>>> [finding.message for finding in imbalanced_classes(run())]
['bce names 0.0% of the samples outside its commonest class, 96% of all labels, since step 160']
>>> more = run(recall=0.08), run(0.85), run(said=0.96), run(since=29), run(every=6)
>>> [len(imbalanced_classes(r)) for r in more]
[1, 1, 1, 1, 1]
>>> [f.severity for r in (run(), run(measured="auc")) for f in imbalanced_classes(r)]
['warning', 'info']

## Look-alikes
Classes that are rare and learned, a common class that is named too often only, one that is not so
common, a network that names the others later, and short runs:

>>> imbalanced_classes(run(recall=0.12)) + imbalanced_classes(run(said=0.9))
[]
>>> imbalanced_classes(run(0.75)) + imbalanced_classes(run(since=35))
[]
>>> imbalanced_classes(run(n=30, since=5, every=9))
[]

## What to try
`use-class-weights`

## References
- Buda, Maki & Mazurowski, A Systematic Study of the Class Imbalance Problem in Convolutional Neural
  Networks, 2018, <https://arxiv.org/abs/1710.05381>
- Cui et al., Class-Balanced Loss Based on Effective Number of Samples, 2019,
  <https://arxiv.org/abs/1901.05555>
"""

import re
from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.levels import end_level
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, last_span_beyond, length

COMMON = 0.8  # share of the labels; words and pixels below it were learned without help (LOG.md)
NAMED = 0.1  # healthy ones came to 0.6 or more, majority predictors stayed below 0.03 (LOG.md)
SAID = 0.95  # of the predictions; healthy ones 0.91 to 0.97, majority predictors 1.0 (LOG.md)
LASTING = 0.45  # share of the run; learned ones had left it after 0.35 (LOG.md)
FOR_STEPS = 250  # updates; a healthy network took 150 of them to name its first rare one (LOG.md)
ACCURACY = re.compile(r"(^|[/._])(val_?)?acc(uracy)?($|[/._\d])|top_?1")


@detector(
    "DAT006",
    needs=("target/*/majority", "prediction/*/recall", "prediction/*/said"),
    sharpened_by=("metric/*/*acc*", "metric/*/*top*1*"),
    explains=("GEN002", "GEN003", "OPT004"),
)
def imbalanced_classes(run: Run) -> Iterator[Finding]:
    measured = any(ACCURACY.search(s.name.lower()) for s in run.matching("metric/*"))
    for recall in run.matching("prediction/*/recall"):
        site = recall.name.split("/")[1]
        majority = run.series.get(f"target/{site}/majority")
        said = run.series.get(f"prediction/{site}/said")
        if majority is None or said is None:
            continue
        known = finite(recall)
        lasting = max(FOR_STEPS, LASTING * length(known))
        span = last_span_beyond(known, "<", NAMED, at_least=lasting)
        if not span or not end_level(majority) > COMMON or not end_level(said) > SAID:
            continue
        yield Finding(
            "DAT006",
            where=site,
            message=(
                f"{shown(site, 24)} names {abs(end_level(known)):.1%} of the samples outside its "
                f"commonest class, {end_level(majority):.0%} of all labels, since step {span[0]}"
            ),
            evidence=(Evidence(known, "<", NAMED, span),),
            severity="warning" if measured else "info",
        )
