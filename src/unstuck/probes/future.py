"""future: does a model see what it must predict, the next word, or a column that is the answer.

## Why
A model that is fed its own target learns to copy. The loss falls far below what any honest model
reaches, on held-out data, too, and where the model is used, the answer is not there.

## How it is measured
Targets are compared with what the model is fed: with the same place of the input, with the next
place, and, for targets of one number a sample, with each column of the input. Only places whose
neighbours differ count, so that a constant series proves nothing. Where the targets are the input,
or the input's next places, a later part of the input is exchanged for that of another sample of the
batch, and the model, in evaluation mode, is asked again: an output before the change that moves has
seen the future. Then a single place is exchanged: its own output moves if the place is seen. Only
outputs that have a target count. Exact, and no matter whether the model has learnt yet. Masked
models (BERT) have other targets; of an encoder and a decoder that are both fed the text, the one
that sees less counts.

## Facts
- `future/<model>/next`, `/same`: share of targets that are the next, or same, place's input (1).
- `future/<model>/seen`: change of the outputs before a change of the input over the change after
  it (1); 0 for a model that cannot look ahead.
- `future/<model>/own`, `/past`: change of the output at a place that was exchanged, and after it,
  over the change at all (1).
- `future/<model>/kind`: what the targets are: classes or numbers (text).
- `future/<model>/copied`: share of the targets that one column of the input equals, in whatever
  units (1), `/column`: which, `/of`: what they are, classes or numbers (text).

## Example
>>> import torch, unstuck
>>> import torch.nn.functional as F
>>> _ = torch.manual_seed(0)
>>> class Reader(torch.nn.Module):
...     def __init__(self, two_ways):
...         super().__init__()
...         self.words = torch.nn.Embedding(20, 8)
...         self.read = torch.nn.GRU(8, 8, batch_first=True, bidirectional=two_ways)
...         self.score = torch.nn.Linear(16 if two_ways else 8, 20)
...     def forward(self, x):
...         return self.score(self.read(self.words(x))[0])
>>> def loss(model, text):
...     return F.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
>>> text = torch.randint(20, (8, 13))
>>> for two_ways in (True, False):
...     found = unstuck.probe(Reader(two_ways), text, loss, only=["future"])
...     print(found.facts["future/model/next"], found.facts["future/model/seen"] > 0)
1.0 True
1.0 False

## References
- Vaswani et al., Attention Is All You Need (section 3.2.3, masking), 2017,
  <https://arxiv.org/abs/1706.03762>
- van den Oord et al., Pixel Recurrent Neural Networks (masks A and B), 2016,
  <https://arxiv.org/abs/1601.06759>
- Kapoor & Narayanan, Leakage and the Reproducibility Crisis in Machine-Learning-Based Science,
  2023, <https://arxiv.org/abs/2207.07048>
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unstuck.experiment import NotProbed, Result, probe
from unstuck.lab.batch import mapped, tensors
from unstuck.lab.columns import best_column
from unstuck.lab.loss_calls import Hearing
from unstuck.lab.places import SHORTEST, at_places, changed, matching, rows_of_places
from unstuck.lab.subject import Call, Subject, takes_model
from unstuck.lab.untouched import untouched
from unstuck.records import Scalar

SEED = 0
CUTS = 4  # places at which the input is exchanged
ALIKE = 0.5  # share of targets found in the input from which it is worth asking the model
MOST_CALLS = 4
MOST_CLASSES = 10  # other values that classes have at most; above, they are numbers


@dataclass(frozen=True, slots=True)
class Match:
    """A target that stands in an input of a call: how much of it, and where."""

    call: Call
    x: Tensor
    row: Tensor  # x as (n, places, numbers)
    target: Tensor
    next: float
    same: float


@probe("future/*/*", cheap=True)
def future(subject: Subject, *, seconds: float = math.inf) -> Result:
    began = time.monotonic()
    with subject.evaluating(), Hearing() as heard:
        torch.manual_seed(SEED)
        calls = subject.calls()[:MOST_CALLS]
    targets = [call.target for call in heard.calls]
    if not takes_model(subject.loss) and isinstance(subject.batch, list | tuple):
        targets += list(tensors(subject.batch[1]))
    matches = [m for call in calls for t in targets for m in _matches(call, t)]
    facts, said = _columns(subject.name, calls, targets)
    if not matches and not facts:
        raise NotProbed(
            "no target has a place for each place of the model's input, or is one number of 32 or "
            "more samples: there is nothing that the model could be fed by mistake"
        )
    if matches:
        likely = [m for m in matches if max(m.next, m.same) > ALIKE][:MOST_CALLS]
        asked: list[tuple[Match, dict[str, float]]] = []
        for match in likely:
            if not asked or time.monotonic() - began < seconds:
                asked.append((match, _asked(subject, match)))
        moving = [(m, moved) for m, moved in asked if max(moved.values()) > 0]
        best, moved = min(moving, key=lambda pair: pair[1]["seen"], default=(None, {}))
        best = best or max(matches, key=lambda m: max(m.next, m.same))
        facts |= _facts(subject.name, best, moved)
        said.append(
            f"{best.next:.0%} of the targets are the next place of the input, {best.same:.0%} the "
            "same place."
        )
        said += _told(moved) if moved else []
    return Result(facts, tuple(said))


def _facts(name: str, match: Match, moved: dict[str, float]) -> dict[str, Scalar]:
    kind = "numbers" if match.target.is_floating_point() else "classes"
    found: dict[str, Scalar] = {"next": match.next, "same": match.same, "kind": kind, **moved}
    return {f"future/{name}/{what}": value for what, value in found.items()}


def _matches(call: Call, target: Tensor) -> Iterator[Match]:
    for x in tensors([list(call.args), call.kwargs]):
        if not x.numel() or x.is_complex():
            continue
        for row in rows_of_places(x):
            if row.shape[1] < SHORTEST:
                continue
            aim = at_places(target, row.shape[0], row.shape[1])
            shares = matching(row, aim) if aim is not None else None
            if shares is not None:
                yield Match(call, x, row, target, *shares)


def _asked(subject: Subject, match: Match) -> dict[str, float]:
    """Exchange parts of the input and see which outputs move."""
    places = match.row.shape[1]
    intact = _outputs(subject, match, match.x)
    seen = own = past = 0.0
    for number in range(CUTS):
        cut = max(1, (number + 1) * places // (CUTS + 1))
        for last in (places, cut + 1):
            new = _outputs(subject, match, changed(match.x, match.row, cut, last))
            moved = _moves(intact, new, match)
            total = float(moved.max())
            if total == 0 or not math.isfinite(total):
                continue
            if last == places:
                seen = max(seen, float(moved[:cut].max()) / total)
            else:
                own = max(own, float(moved[cut]) / total)
                past = max(past, float(moved[cut + 1 :].max()) / total if cut + 1 < places else 0)
    return {"seen": seen, "own": own, "past": past}


def _moves(intact: list[Tensor], new: list[Tensor], match: Match) -> Tensor:
    """Root mean square change of the outputs that have a target, at each place."""
    count, places = match.row.shape[:2]
    target = at_places(match.target, count, places)
    found = torch.zeros(places, dtype=torch.float64)
    for a, b in zip(intact, new, strict=True):
        one, other = (at_places(t, count, places) for t in (a, b))
        if one is None or other is None or target is None or one.shape != other.shape:
            continue
        change = (one - other).abs().float().square().mean(2)
        if not target.is_floating_point() and target.shape[1] == change.shape[1]:
            change = change * (target >= 0).any(2)
        size = change.mean(0).sqrt().cpu().double()
        found[: len(size)] = torch.maximum(found[: len(size)], size)
    return found


def _outputs(subject: Subject, match: Match, x: Tensor) -> list[Tensor]:
    """What the model gives where this input is in the place of the other; nothing else changes."""

    def swap(tensor: Tensor) -> Tensor:
        return x if tensor is match.x else tensor

    with untouched((subject.model,)), subject.evaluating(), torch.no_grad():
        torch.manual_seed(SEED)
        args, kwargs = mapped(list(match.call.args), swap), mapped(match.call.kwargs, swap)
        found: Any = subject.model(*args, **kwargs)
    return [t.detach() for t in tensors(found) if t.is_floating_point() and t.ndim]


def _told(seen: dict[str, float]) -> list[str]:
    if seen["seen"] > 0:
        what = f"Outputs move by {seen['seen']:.2g} of their change when only later places change"
        return [f"{what}: the model looks ahead."]
    said = ["No output moves when only later places of the input change."]
    if seen["past"] > 0 and seen["own"] > 0:
        said.append(f"A place's own output moves with it, by {seen['own']:.2g} of the change.")
    elif seen["past"] > 0:
        said.append("A place's own output does not move with it.")
    return said


def _columns(
    name: str, calls: list[Call], targets: list[Tensor]
) -> tuple[dict[str, Scalar], list[str]]:
    """The column of an input that goes with the target best."""
    found = [
        (share, where, "numbers" if len(target.unique()) > MOST_CLASSES else "classes")
        for call in calls
        for x in tensors([list(call.args), call.kwargs])
        for target in targets
        if (column := best_column(x, target)) is not None
        for share, where in [column]
    ]
    if not found:
        return {}, []
    share, where, kind = max(found)
    key = f"future/{name}"
    facts: dict[str, Scalar] = {f"{key}/copied": share, f"{key}/column": where}
    facts[f"{key}/of"] = kind
    return facts, [f"The input that goes with the target best equals {share:.0%} of it ({where})."]
