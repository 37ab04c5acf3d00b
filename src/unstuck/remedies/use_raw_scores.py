"""use-raw-scores: hand the loss the network's scores and let it take the softmax itself.

## What it changes
`scores/cross_entropy`, for losses that take the softmax or sigmoid themselves: the one before them
is undone. In the script: the last softmax or sigmoid leaves the network and is applied only where
probabilities are used. `cross_entropy` and `binary_cross_entropy_with_logits` get scores;
`nll_loss` and `kl_div` get `log_softmax` of them.

## What is expected
The loss falls at once and below where it had stopped; accuracy is reached in fewer steps.

## When it does not help
Where the loss is one that is made for probabilities (`binary_cross_entropy`, a squared error).

## Origin
- Goodfellow, Bengio & Courville, Deep Learning, section 6.2.2 (why the logarithm of the loss must
  undo the exponential of the output), 2016, <https://www.deeplearningbook.org>

>>> from unstuck import Finding, Run
>>> run = Run.of(prediction__cross_entropy__probability=[1.0] * 9)
>>> [t.changes for t in use_raw_scores(run, Finding("DAT007", "cross_entropy", "", ()))]
[{'scores/cross_entropy': 'raw'}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy

TAKES_SCORES = ("cross_entropy", "binary_cross_entropy_with_logits")


@remedy("DAT007", safety="safe")
def use_raw_scores(run: Run, finding: Finding) -> Iterator[Treatment]:
    handed = run.series.get(f"prediction/{finding.where}/probability")
    if handed is not None and finding.where.split(".")[0] in TAKES_SCORES:
        yield Treatment(
            name="cross entropy of raw scores",
            remedy="use-raw-scores",
            changes={"scores/cross_entropy": "raw"},
            expectation="the loss falls below where it had stopped",
            answers=(finding.code,),
        )
