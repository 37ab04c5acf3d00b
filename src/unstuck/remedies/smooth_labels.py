"""smooth-labels: ask a classifier for a little less than certainty.

## What it changes
`label_smoothing/cross_entropy`: a tenth of each label is spread over all classes while training.
Evaluation is left as it is.

## What is expected
Validation loss falls later and ends lower; scores stay smaller. The training loss as the script
wrote it ends higher.

## When it does not help
Where labels carry finer differences that are to be kept (distillation), or the loss is not a cross
entropy. Accuracy gains less than the validation loss does.

## Origin
- Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, section 7 (0.1),
  <https://arxiv.org/abs/1512.00567>
- Müller, Kornblith & Hinton, When Does Label Smoothing Help?, 2019,
  <https://arxiv.org/abs/1906.02629>

>>> from unstuck import Finding, Run
>>> run = Run.of(prediction__cross_entropy__probability=[0.0] * 9)
>>> [t.changes for t in smooth_labels(run, Finding("GEN001", "metric/val/loss", "", ()))]
[{'label_smoothing/cross_entropy': 0.1}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy

SHARE = 0.1


@remedy("GEN001", safety="changes-training")
def smooth_labels(run: Run, finding: Finding) -> Iterator[Treatment]:
    if run.matching("prediction/cross_entropy/*") or run.matching("target/cross_entropy/*"):
        yield Treatment(
            name=f"labels smoothed by {SHARE}",
            remedy="smooth-labels",
            changes={"label_smoothing/cross_entropy": SHARE},
            expectation="the validation loss ends lower",
            answers=(finding.code,),
        )
