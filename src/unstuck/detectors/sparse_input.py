"""DAT002 sparse-input: nearly all inputs are zero, and what is not is not heard.

## Why is this bad?
Layers are initialised for inputs all of which count. Where twelve of four thousand do, the first
layer's outputs hardly differ from sample to sample, its biases drown them, and with each further
layer less is left. The loss stays where guessing put it.

## How it is detected
Less than `SPARSE` of what a model is fed is not zero (`input/<model>/nonzero`), its first layer's
outputs spread by less than `FAINT` over the batch from the start to the end
(`input/<model>/first_spread`), and after `FOR_STEPS` steps every loss still has more than `KEPT` of
its start. A sparse input from which the network learns is no pathology. Where partners of two
modalities are told (`pair/<x>/agreement`) and end below `CHANCE`, that shows it as well: the losses
then fall by what the other modality learns.

## Example
>>> from unstuck import Run, Series
>>> def run(nonzero=0.003, spread=0.03, end=2.29, later=None, n=30, every=10):
...     values = {"input/net/nonzero": [nonzero] * n, "loss/train": [2.3] * 10 + [end] * (n - 10),
...               "input/net/first_spread": [spread] * (n - 10) + [later or spread] * 10}
...     steps = [every * i for i in range(n)]
...     return Run({name: Series(name, steps, v) for name, v in values.items()})
>>> [finding.message for finding in sparse_input(run())]
['0.3% of the input of net is not zero, its first layer spreads by 0.03; loss/train keeps 100%']
>>> [len(sparse_input(r)) for r in (run(0.015), run(spread=0.08), run(end=2.15), run(every=8))]
[1, 1, 1, 1]

Beside another modality, which learns:

>>> def paired(agreement, nonzero=0.003, spread=0.03):
...     told = Series("pair/image:text/agreement", range(0, 300, 10), [agreement] * 30)
...     return Run(run(nonzero, spread, end=1.1).series | {told.name: told})
>>> [finding.message for finding in sparse_input(paired(0.51))]
['0.3% of the input of net is not zero, its first layer spreads by 0.03; partners met by chance']
>>> found = sparse_input(paired(0.7)) + sparse_input(paired(0.51, nonzero=0.5))
>>> found + sparse_input(paired(0.51, spread=1.0))
[]

## Look-alikes
Sparse inputs that are heard, or are heard in the end, inputs that are faint but not sparse, words
from which a network learns, and a run that has only begun:

>>> sparse_input(run(spread=0.12)) + sparse_input(run(later=0.3)) + sparse_input(run(0.025))
[]
>>> sparse_input(run(end=1.9)) + sparse_input(run(n=20, every=9))
[]

## What to try
`normalise-input`, `rescale-initialisation`

## References
- LeCun et al., Efficient BackProp, section 4.3, 1998, <https://doi.org/10.1007/3-540-49430-8_2>
- Duchi, Hazan & Singer, Adaptive Subgradient Methods (rare features need larger steps), 2011,
  <https://jmlr.org/papers/v12/duchi11a.html>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run
from unstuck.signals.games import lone_losses
from unstuck.signals.levels import end_level, median, share_left
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, last_span_beyond, length

SPARSE = 0.02  # share; bags of words 0.003, one-hot letters 0.005, pixels of strokes 0.5 (LOG.md)
FAINT = 0.1  # unheard words spread by 0.009 to 0.03, ones of unit variance by 0.55 (LOG.md)
CHANCE = 0.6  # share of strangers a partner beats; the limit of misaligned-modalities
KEPT = 0.9  # share of the start; where nothing is heard 0.99, where they are below 0.05 (LOG.md)
FOR_STEPS = 200  # updates; as faint words were heard by Adam within 75 (LOG.md)


@detector(
    "DAT002",
    needs=("input/*/nonzero", "input/*/first_spread", "loss/*"),
    explains=("OPT004", "OPT002", "GEN002", "GRD001", "INI002", "COL001", "COL003", "COL005"),
)
def sparse_input(run: Run) -> Iterator[Finding]:
    shown_by = _unheard(run)
    if not shown_by:
        return
    for spread in run.matching("input/*/first_spread"):
        model = spread.name.split("/")[1]
        nonzero = run.series.get(f"input/{model}/nonzero")
        if nonzero is None:
            continue
        known, sparse = finite(spread), finite(nonzero)
        faint = last_span_beyond(known, "<", FAINT)
        few = last_span_beyond(sparse, "<", SPARSE)
        if not faint or not few or faint[0] != known.step[0] or few[0] != sparse.step[0]:
            continue
        yield Finding(
            "DAT002",
            where=model,
            message=(
                f"{median(nonzero):.1%} of the input of {shown(model, 16)} is not zero, its first "
                f"layer spreads by {median(spread):.1g}; {shown_by}"
            ),
            evidence=(Evidence(known, "<", FAINT, faint), Evidence(sparse, "<", SPARSE, few)),
        )


def _unheard(run: Run) -> str:
    """What shows that nothing is learnt from an input: flat losses, or partners not found."""
    losses = [s for s in lone_losses(run) if length(s) >= FOR_STEPS]
    if losses and all(share_left(s) > KEPT for s in losses):
        return f"{shown(losses[0].name, 20)} keeps {share_left(losses[0]):.0%}"
    for agreement in map(finite, run.matching("pair/*/agreement")):
        if length(agreement) >= FOR_STEPS and end_level(agreement) < CHANCE:
            return "partners met by chance"
    return ""
