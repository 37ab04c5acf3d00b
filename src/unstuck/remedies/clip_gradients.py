"""clip-gradients: bound the norm of the gradient before each step.

## What it changes
`clip/<optimizer>`: `torch.nn.utils.clip_grad_norm_` of its parameters just before the step. The
limit is the median of `grad_norm/<optimizer>` before the finding (of the whole run where too little
comes before), and 1 where that is less; 1 alone where gradients explode from the start.

## What is expected
Single very large gradients no longer throw the weights far away; the usual steps stay as they are.
The loss stays finite, has no jumps, and ends lower.

## When it does not help
Where every step is too large, not single ones: an adaptive optimizer divides the clipped scale out
again, so lower the learning rate. Where the loss itself is wrong (log 0), it stays so.

## Origin
- Pascanu, Mikolov & Bengio, On the Difficulty of Training Recurrent Neural Networks, 2013,
  <https://arxiv.org/abs/1211.5063>
- The limit: half to ten times the average norm (the same, section 3.2). In our healthy runs nine of
  ten norms are below 1.9 times the median (LOG.md).
- 1: Brown et al., Language Models are Few-Shot Learners, 2020, appendix B,
  <https://arxiv.org/abs/2005.14165>

>>> from unstuck import Finding, Run
>>> run = Run.of(lr__adam=[0.1] * 9, grad_norm__adam=[3.0] * 7 + [900.0, 5e5])
>>> [t.changes for t in clip_gradients(run, Finding("NUM001", "loss/train", "", ()))]
[{'clip/adam': 3.0}, {'clip/adam': 1.0}]
"""

from collections.abc import Iterator

from unstuck.records import Finding, Run, Treatment
from unstuck.remedy import remedy
from unstuck.signals.inventory import optimizers_of
from unstuck.signals.levels import median
from unstuck.signals.spans import between

ENOUGH = 5  # readings that make a median
USUAL = 1.0
EXPLODES = ("GRD002", "ACT001", "SEQ001")  # the usual norm is itself what is wrong


@remedy(
    "GRD002",
    "ACT001",
    "DAT009",
    "NUM001",
    "OPT001",
    "OPT003",
    "OPT005",
    "OPT007",
    "SEQ001",
    safety="changes-training",
)
def clip_gradients(run: Run, finding: Finding) -> Iterator[Treatment]:
    chosen = optimizers_of(run, finding.where)
    limits = {name: _usual(run, name, finding) for name in chosen}
    known = {name: limit for name, limit in limits.items() if limit > 0}
    if finding.code in EXPLODES:
        known = {}
    every = [known] if known else []
    if not known or all(not limit <= USUAL for limit in limits.values()):
        every.append(dict.fromkeys(chosen, USUAL))
    for chosen_limits in every if chosen else ():
        told = ", ".join(f"{name} to {limit:g}" for name, limit in chosen_limits.items())
        yield Treatment(
            name=f"gradient norm of {told} at most",
            remedy="clip-gradients",
            changes={f"clip/{name}": limit for name, limit in chosen_limits.items()},
            expectation="the loss has no jumps, stays finite and ends lower",
            answers=(finding.code,),
        )


def _usual(run: Run, optimizer: str, finding: Finding) -> float:
    """The median norm of its gradient while all was well, to two digits; 0 where unknown."""
    norm = run.series.get(f"grad_norm/{optimizer}")
    if norm is None:
        return 0.0
    before = between(norm, None, finding.since - 1) if finding.evidence else norm
    level = median(before if len(before) >= ENOUGH else norm)
    return float(f"{level:.2g}") if 0 < level < float("inf") else 0.0
