"""horizon: which region of the input moves an output, exact to the pixel, and what lies beyond.

## Why
What an output cannot see it cannot use. A field smaller than what is to be judged, filled in or
built caps what can be learnt, whatever the loss; a border that is filled in wrongly teaches what
is not there when crops are put together.

## How it is measured
The gradient of the output's middle cell by the input, over several random inputs: with every path
passable (weights positive, statistics neutral, so that closed gates and weights that begin at zero
hide none) and as the network is. Then everything outside of the box found is changed: where the
output moves all the same, through thresholds or look-ups, the box grows. A canvas too small to show
all of it is doubled. For a rollout one step is measured, and as many as time allows. The effective
field is where the gradient of the network as it is lies, on the batch's own samples. What lies
beyond the border is told from shifted, even and alternating inputs.

## Facts
- `horizon/<model>/height`, `width`, `depth`, `length` [px]: sides of the field; the canvas's
  own where no canvas was large enough to show all of it.
- `horizon/<model>/whole`: whether it covers the canvas.
- `horizon/<model>/share` [1]: share of the canvas that the middle output sees.
- `horizon/<model>/canvas` [px]: longer side of the batch's canvas.
- `horizon/<model>/effective` [px]: radius that holds 90 % of the gradient.
- `horizon/<model>/border`: circular, zero, replicate, reflect or none.
- `horizon/<model>/radius`, `steps` [px, 1]: of a rollout, cells a step and steps.

## Example
>>> import torch
>>> from torch import nn
>>> from unstuck.lab.subject import Subject
>>> net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(),
...                     nn.Conv2d(4, 1, 3, padding=2, dilation=2))
>>> x = torch.zeros(2, 1, 20, 20)
>>> found = horizon(Subject(net, (x, x), nn.functional.mse_loss))
>>> [found.facts[f"horizon/model/{what}"] for what in ("height", "width", "whole", "border")]
[7, 7, False, 'zero']

## References
- Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural Networks, 2019,
  <https://doi.org/10.23915/distill.00021>
- Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks,
  2016, <https://arxiv.org/abs/1701.04128>
"""

import math
import time

import torch
from torch import Tensor

from unstuck.experiment import HeatMap, Result, probe
from unstuck.lab.fields import View, viewed
from unstuck.lab.fields_border import border
from unstuck.lab.fields_reach import PATIENCE, Field, field_of, influence
from unstuck.lab.subject import Subject
from unstuck.records import Scalar

HELD = 0.9  # share of the gradient that the effective radius holds
SAMPLES = 4
QUICK = 0.2  # seconds of one pass; of a slower model one sample must do
FILLED = {
    "zero": "zeros lie beyond its border: crops that are put together need an overlap",
    "circular": "its border is circular: a crop sees its own far side as its neighbour",
    "replicate": "the border's own values are repeated beyond it",
    "reflect": "the canvas is mirrored at its border",
    "none": "nothing is filled in beyond its border",
}


@probe("horizon/*", cheap=True)
def horizon(subject: Subject, *, seconds: float = float("inf")) -> Result:
    began = time.monotonic()
    steps = subject.rollout.steps if subject.rollout else 0
    with viewed(subject, steps=min(steps, 1)) as view:
        one = field_of(view, subject.model, seconds=seconds / 3)
        edge = border(view, subject.model, one)
        axes, canvas = view.axes, view.canvas
    took = time.monotonic() - began
    field, measured = one, steps < 2
    most = min(seconds - took, PATIENCE)
    if steps > 1 and 2 * took * steps < most:
        with viewed(subject, steps=steps) as view:
            field, measured = field_of(view, subject.model, seconds=most / 2), True
    centre, held = None, math.nan
    if measured:
        with viewed(subject, steps=steps, exact=False) as view:
            centre, held = _effective(view)
    facts = _facts(subject, axes, canvas, field, one, 1 if measured else steps)
    if edge:
        facts[f"horizon/{subject.name}/border"] = edge
    if math.isfinite(held):
        facts[f"horizon/{subject.name}/effective"] = round(held, 2)
    said = _said(subject, axes, canvas, facts, measured)
    return Result(facts, said, () if centre is None else (_picture(subject, centre),))


def _facts(
    subject: Subject,
    axes: tuple[str, ...],
    canvas: tuple[int, ...],
    field: Field,
    one: Field,
    times: int,
) -> dict[str, Scalar]:
    """`times`: steps that the field is multiplied by, where it is that of one step."""
    name = subject.name
    sides = [
        times * (size - 1) + 1 if whole else side
        for size, whole, side in zip(field.size, field.bounded, canvas, strict=True)
    ]
    facts: dict[str, Scalar] = {f"horizon/{name}/{a}": s for a, s in zip(axes, sides, strict=True)}
    share = _share(field, canvas, sides, times)
    facts[f"horizon/{name}/whole"] = share == 1
    facts[f"horizon/{name}/share"] = share
    facts[f"horizon/{name}/canvas"] = max(canvas)
    if subject.rollout is not None:
        facts[f"horizon/{name}/radius"] = max(one.reach)
        facts[f"horizon/{name}/steps"] = subject.rollout.steps
    return facts


def _share(field: Field, canvas: tuple[int, ...], sides: list[int], times: int) -> float:
    """Share of the batch's canvas that its middle output sees."""
    if times > 1:
        return math.prod(min(s, side) / side for s, side in zip(sides, canvas, strict=True))
    share = 1.0
    for side, wide, (first, last) in zip(canvas, field.canvas, field.box, strict=True):
        shift = wide // 2 - side // 2  # the same cell in the middle of both canvases
        share *= (min(last - shift, side - 1) - max(first - shift, 0) + 1) / side
    return share


def _effective(view: View) -> tuple[Tensor | None, float]:
    """|gradient| of the middle output on the batch's samples, and the radius that holds most."""
    began = time.monotonic()
    with torch.no_grad():
        view.even(view.x[:1])
    x = view.x[: SAMPLES if time.monotonic() - began < QUICK else 1]
    torch.manual_seed(0)
    even = View(view.even, view.x, view.exact)
    found = influence(even, x).sum(0).double().cpu()
    total = float(found.sum())
    if not (0 < total < float("inf")):
        return None, math.nan
    grid = torch.meshgrid(*(torch.arange(s).double() for s in found.shape), indexing="ij")
    centres = [(found * g).sum() / total for g in grid]
    away = torch.stack([(g - c).square() for g, c in zip(grid, centres, strict=True)]).sum(0).sqrt()
    order = away.flatten().argsort()
    inside = found.flatten()[order].cumsum(0) >= HELD * total
    return found / total, float(away.flatten()[order][int(inside.nonzero()[0])])


def _said(
    subject: Subject,
    axes: tuple[str, ...],
    canvas: tuple[int, ...],
    facts: dict[str, Scalar],
    measured: bool,
) -> tuple[str, ...]:
    def get(what: str) -> Scalar | None:
        return facts.get(f"horizon/{subject.name}/{what}")

    shape = " x ".join(str(get(axis)) for axis in axes)
    around = " x ".join(map(str, canvas))
    found = [
        f"One output of {subject.name} depends on all of the canvas of {around} px."
        if get("whole")
        else f"One output of {subject.name} depends on {shape} px of a canvas of {around}; what "
        "lies further away cannot change it."
    ]
    if get("steps"):
        how = (
            "measured over the whole rollout" if measured else "one step measured, times the steps"
        )
        found.append(
            f"News travel {get('radius')} px a step, in {get('steps')} steps {shape} px across "
            f"({how})."
        )
    if get("effective") is not None:
        found.append(f"90 % of its gradient lies within {get('effective')} px of the middle.")
    if get("border"):
        edge = str(get("border"))
        found.append(f"{edge.capitalize()}: {FILLED.get(edge, 'sides differ')}.")
    return tuple(found)


def _picture(subject: Subject, found: Tensor) -> HeatMap:
    """Rows and columns of what moves the middle output; a volume by its strongest slice."""
    while found.ndim > 2:
        found = found.amax(0)
    values = found[None] if found.ndim == 1 else found
    title = f"What moves the output in the middle of {subject.name}"
    return HeatMap(title, values.numpy(), "share of the gradient")
