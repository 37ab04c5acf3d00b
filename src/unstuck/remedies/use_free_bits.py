"""use-free-bits: let every dimension of a code say a little without being charged for it.

## What it changes
`max(KL_d, free)` in place of `KL_d` for every dimension, averaged over the batch first, with some
0.1 to 0.5 nats; or the weight of the divergence rises from zero over the first part of training.

## What is expected
Some dimensions vary from sample to sample, and the reconstruction improves.

## When it does not help
Where the divergence is summed and the reconstruction averaged (`use-summed-reconstruction`), or
where the decoder sees enough of the answer to need no code.

## Origin
- Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016,
  <https://arxiv.org/abs/1606.04934>
- The values: half a nat for each of six dimensions where they are summed, and a third of one where
  they are averaged; live, the term as a whole is let alone below that (LOG.md).

>>> from unstuck import Finding, Run
>>> run = Run.of(term__loss__kl=[0.1] * 9, term__loss__reconstruction=[3.0] * 9)
>>> [t.changes for t in use_free_bits(run, Finding("COL007", "vae.mu", "", ()))]
[{'floor/loss/kl': 3.0}, {'floor/loss/kl': 0.3}]
"""

import re
from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.terms import terms

DIVERGENCE = re.compile(r"kl|diverg", re.IGNORECASE)
NATS = (3.0, 0.3)


@remedy("COL007", safety="changes-training")
def use_free_bits(run: Run, finding: Finding) -> Iterator[Treatment]:
    charged = [f"floor/{t.loss}/{t.name}" for t in terms(run) if DIVERGENCE.search(t.name)]
    for nats in NATS if charged else ():
        yield Treatment(
            name=f"{nats:g} nats free of charge",
            remedy="use-free-bits",
            changes=dict.fromkeys(charged, nats),
            expectation="the posterior's mean varies over the batch; the reconstruction improves",
            answers=(finding.code,),
        )
