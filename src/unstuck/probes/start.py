"""start: is the first loss that of a guess, which weights does it reach, what stays untrained.

## Why
A softmax that begins far above log C is wrong and sure of it; scales that grow or shrink from layer
to layer keep doing so; and weights that no loss reaches stay random, however long a training lasts.
What is used later and never exercised in training is seen before any hours are spent.

## How it is measured
The loss is taken once as it is and once with a guess in place of every prediction that one of
torch's loss functions is handed: all classes alike (log C), the mean of the targets (their
variance). Every term's graph is walked back to the parameters. Standard deviations of the outputs
and root mean squares of the gradients of layers with weights are compared from the first layer to
the last. With `at_use`, its loss's graph is compared with those of the training loss (on up to
three batches, in training and in evaluation mode): weights that only the first depends on, and
joints between two trained parts of the model that training's losses never pass through. A joint
that closes a loop (the output fed back) is none. Weights that are frozen, or that the optimizer
does not hold, are not counted.

## Facts
- `start/<model>/loss`, `/expected`: the loss as it is, and of a guess (unit of the loss).
- `start/<model>/ratio`: the one over the other (1).
- `start/<model>/measure`: the loss functions that were handed a guess (text).
- `start/<model>/steps`: steps the optimizer has made, where it counts them (1).
- `start/<model>/reached`: share of the trained weights that the loss reaches (1), `/unreached`: the
  first others (text), `/silent`: share whose gradient is exactly zero (1).
- `start/<model>/activation_growth`, `/gradient_growth`: scale of the last layer's outputs over that
  of the first's, of the first layer's gradient over that of the last's (1).
- `start/reach/<term>/<part>`: share of a part's parameter tensors that a term reaches (1).
- `unused_path/<model>/share`: share of the weights needed at use that training's loss never reaches
  (1), `/parts`: where they are (text), `/joints`: number of joints that only use passes (1),
  `/joint`: the first of them (text).

## Example
>>> import torch, unstuck
>>> import torch.nn.functional as F
>>> _ = torch.manual_seed(0)
>>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
>>> with torch.no_grad():
...     _ = model[2].weight.mul_(100)
>>> batch = torch.randn(64, 8), torch.randint(10, (64,))
>>> found = unstuck.probe(model, batch, F.cross_entropy, only=["start"])
>>> print(found.results["start"].said[0])
The loss is 38.7, 17 times the 2.3 of a guess (cross_entropy).
>>> found.facts["start/model/reached"]
1.0

## References
- Karpathy, A Recipe for Training Neural Networks ("verify loss at init"), 2019,
  <https://karpathy.github.io/2019/04/25/recipe/>
- He et al., Delving Deep into Rectifiers, 2015, <https://arxiv.org/abs/1502.01852>
- Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010,
  <https://proceedings.mlr.press/v9/glorot10a.html>
"""

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.experiment import Bars, Listing, NotProbed, Picture, Result, probe
from unstuck.lab.age import steps_made
from unstuck.lab.batch import tensors
from unstuck.lab.flat_gradient import slopes
from unstuck.lab.loss_calls import Guessing, Hearing
from unstuck.lab.reach import parts_of, reached_by
from unstuck.lab.subject import TOTAL, Subject
from unstuck.lab.unused import unused_path
from unstuck.records import Scalar

SEED = 0
MOST_TERMS = 8
MOST_NAMES = 3
MOST_ROWS = 40  # of a picture
Told = tuple[dict[str, Scalar], list[str]]


@probe("start/*/*", "unused_path/*/*", cheap=True)
def start(subject: Subject, *, seconds: float = math.inf) -> Result:
    began = time.monotonic()
    trained = {id(p) for p in subject.parameters if p.requires_grad}
    weights = {n: p for n, p in subject.model.named_parameters() if id(p) in trained}
    if not weights:
        raise NotProbed("no parameter of the model asks for gradients: nothing would be trained")
    facts, said = _against_a_guess(subject)
    spreads: dict[str, float] = {}
    handles = [m.register_forward_hook(_noting(n, spreads)) for n, m in _layers(subject.model)]
    torch.manual_seed(SEED)
    terms = subject.terms()
    for handle in handles:
        handle.remove()
    if terms[TOTAL].grad_fn is None:
        raise NotProbed("the loss has no gradient: its graph was cut between model and loss")
    reach, table = _reach(subject, terms, trained)
    depth, remarks, pictures = _depth(subject.name, terms[TOTAL], weights, spreads)
    facts |= reach | depth
    said += remarks
    if subject.at_use is not None and time.monotonic() - began > seconds:
        said.append("No time was left to compare the loss at use with that of training.")
    elif subject.at_use is not None:
        used, remarks = unused_path(subject)
        facts |= used
        said += remarks
    return Result(facts, tuple(said), (table, *pictures))


def _against_a_guess(subject: Subject) -> Told:
    """The loss as it is, and with a guess in the place of each prediction."""
    key = f"start/{subject.name}"
    torch.manual_seed(SEED)
    with Hearing() as heard:
        value = float(subject.value().detach())
    facts: dict[str, Scalar] = {f"{key}/loss": value}
    steps = steps_made(subject.optimizer)
    if steps is not None:
        facts[f"{key}/steps"] = steps
    if not heard.calls:
        said = "it hands no prediction to a loss function of torch, so no guess stands beside it"
        return facts, [f"The loss is {value:.3g}; {said}."]
    torch.manual_seed(SEED)
    with Guessing():
        expected = float(subject.value().detach())
    measure = ", ".join(sorted({call.name for call in heard.calls}))
    facts |= {f"{key}/expected": expected, f"{key}/measure": measure}
    if not expected > 0:
        return facts, [f"The loss is {value:.3g}, that of a guess {expected:.3g} ({measure})."]
    ratio = facts[f"{key}/ratio"] = value / expected
    beside = f"{ratio:.2g} times the {expected:.2g} of a guess ({measure})"
    return facts, [f"The loss is {value:.3g}, {beside}."]


def _reach(
    subject: Subject, terms: dict[str, Tensor], trained: set[int]
) -> tuple[dict[str, Scalar], Listing]:
    """Which term reaches which part of the model."""
    parts = parts_of(subject.model) or {subject.name: subject.model}
    facts: dict[str, Scalar] = {}
    rows: list[tuple[Scalar, ...]] = []
    for term, value in list(terms.items())[:MOST_TERMS]:
        reached = reached_by(value).parameters
        for part, module in parts.items():
            held = {id(p) for p in module.parameters()} & trained
            if held:
                share = facts[f"start/reach/{term}/{part}"] = len(held & reached) / len(held)
                rows.append((term, part, share))
    columns = ("term", "part", "share of its parameters reached")
    return facts, Listing("Which term reaches which part", columns, tuple(rows[:MOST_ROWS]))


def _depth(
    name: str, loss: Tensor, weights: dict[str, nn.Parameter], spreads: dict[str, float]
) -> tuple[dict[str, Scalar], list[str], list[Picture]]:
    """What the gradient reaches, and how the scales change from the first layer to the last."""
    found = slopes(loss, list(weights.values()))
    by_name = dict(zip(weights, found, strict=True))
    total = sum(p.numel() for p in weights.values())
    missed = [n for n, slope in by_name.items() if slope is None]
    silent = sum(s.numel() for s in found if s is not None and not bool(s.any()))
    share = 1 - sum(weights[n].numel() for n in missed) / total
    key = f"start/{name}"
    facts: dict[str, Scalar] = {f"{key}/reached": share, f"{key}/silent": silent / total}
    said = [f"The loss reaches {share:.1%} of the {total:,} trained weights."]
    if missed:
        facts[f"{key}/unreached"] = ", ".join(missed[:MOST_NAMES])
        said[0] += f" It does not reach {_listed(missed)}."
    scales = {n: s for n in spreads if (s := _size(by_name.get(f"{n}.weight"))) > 0}
    pictures: list[Picture] = []
    if len(spreads) > 1:
        (first, a), (last, b) = (list(spreads.items())[i] for i in (0, -1))
        if a > 0:
            facts[f"{key}/activation_growth"] = b / a
            said.append(f"Outputs spread by {a:.2g} at {first} and by {b:.2g} at {last}.")
        pictures.append(_bars("Spread of each layer's outputs", "standard deviation", spreads))
    if len(scales) > 1:
        ends = list(scales.values())
        facts[f"{key}/gradient_growth"] = ends[0] / ends[-1]
        pictures.append(_bars("Gradient of each layer's weights", "root mean square", scales))
    return facts, said, pictures


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Layers with a matrix or a kernel."""
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1 and not isinstance(module, nn.Embedding):
            yield name or "model", module


def _noting(name: str, spreads: dict[str, float]) -> Any:
    def note(module: nn.Module, args: Any, output: Any) -> None:
        found = [t for t in tensors(output) if t.is_floating_point() or t.is_complex()]
        if found and found[0].numel() > 1 and name not in spreads:
            value = found[0].detach()
            spreads[name] = float((value.abs() if value.is_complex() else value).float().std())

    return note


def _size(slope: Tensor | None) -> float:
    return 0.0 if slope is None else float(slope.abs().float().square().mean().sqrt())


def _bars(title: str, unit: str, values: dict[str, float]) -> Bars:
    rows = {name: {unit: value} for name, value in list(values.items())[:MOST_ROWS]}
    return Bars(title, rows, unit, log=True)


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
