"""use-class-weights: let a rare sample count for more, or let it come more often.

## What it changes
`weight=` or `pos_weight=` of the loss, inverse to the share of each class; or a sampler that draws
classes equally often; or the threshold at which a class is named.

## What is expected
Samples of the rare classes are named; accuracy falls a little, and balanced accuracy rises a lot.

## When it does not help
Where probabilities are what is wanted: weights bend them. And where the rare class cannot be told
from the inputs.

## Origin
- Buda, Maki & Mazurowski, A Systematic Study of the Class Imbalance Problem in Convolutional Neural
  Networks, 2018, <https://arxiv.org/abs/1710.05381>
- The live change counts the labels as they come: King & Zeng, Logistic Regression in Rare Events
  Data, 2001, <https://doi.org/10.1093/oxfordjournals.pan.a004868>

>>> from unstuck import Finding, Run
>>> run = Run.of(target__cross_entropy__majority=[0.97] * 9)
>>> [t.changes for t in use_class_weights(run, Finding("DAT006", "cross_entropy", "", ()))]
[{'class_weight/labels': 'balanced'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy


@remedy("DAT006", safety="changes-training")
def use_class_weights(run: Run, finding: Finding) -> Iterator[Treatment]:
    if f"target/{finding.where}/majority" in run.series:
        yield Treatment(
            name="balanced class weights",
            remedy="use-class-weights",
            changes={"class_weight/labels": "balanced"},
            expectation="most samples outside the commonest class are named rightly",
            answers=(finding.code,),
        )
