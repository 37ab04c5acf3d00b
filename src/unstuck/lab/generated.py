"""What a model draws, beside the real samples that its loss compares them with."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.lab.batch import tensors
from unstuck.lab.codes import as_rows, nearest
from unstuck.lab.subject import Call, Subject

SEED = 0
FEWEST = 8  # different inputs of a batch, of which distances are taken


@dataclass(frozen=True, slots=True)
class Drawn:
    """Outputs of one batch as rows (n, d); for a generator, real samples (m, d) beside them."""

    outputs: Tensor
    different: Tensor  # rows whose input no earlier row had
    real: Tensor | None


def drawn(subject: Subject, batches: Iterable[Any]) -> list[Drawn]:
    """The first output of each batch, in evaluation mode; none where only parts are called."""
    found: list[Drawn] = []
    for number, batch in enumerate(batches):
        with subject.evaluating(), _judged(subject) as judged:
            torch.manual_seed(SEED + number)
            calls = subject.calls(batch)
        part = _of_call(calls[0], batch, judged) if calls else None
        if part is not None:
            found.append(part)
    return found


def nearest_over_real(parts: Iterable[Drawn]) -> float | None:
    """Distance of a drawn sample to the nearest other over that of real ones; the median batch."""
    ratios = []
    for part in parts:
        if part.real is None:
            continue
        made = part.outputs[part.different]
        count = min(len(made), len(part.real))
        if count >= FEWEST and (apart := nearest(part.real[:count])) > 0:
            ratios.append(nearest(made[:count]) / apart)
    return sorted(ratios)[len(ratios) // 2] if ratios else None


def _of_call(call: Call, batch: Any, judged: set[torch.Size]) -> Drawn | None:
    outputs = [t for t in tensors(call.output) if t.ndim > 1 and t.is_floating_point()]
    inputs = [t for t in tensors([list(call.args), call.kwargs]) if t.ndim]
    if not outputs or not inputs or not len(outputs[0]) or len(inputs[0]) != len(outputs[0]):
        return None
    made, fed = outputs[0], inputs[0]
    shape = made.shape[1:]
    generates = shape in judged and fed.shape[1:] != shape and shape.numel() > 1
    like = [t for t in tensors(batch) if t.is_floating_point() and t.shape[1:] == shape]
    real = as_rows(like[0]) if generates and like else None
    return Drawn(as_rows(made), _first_of_each(fed), real)


@contextlib.contextmanager
def _judged(subject: Subject) -> Iterator[set[torch.Size]]:
    """Shapes of a sample that another network of the loss is handed while this lasts."""
    shapes: set[torch.Size] = set()

    def note(module: nn.Module, args: tuple[Any, ...]) -> None:
        shapes.update(t.shape[1:] for t in tensors(list(args)) if t.ndim > 1)

    judges = [m for m in subject.others if any(True for _ in m.parameters())]
    handles = [judge.register_forward_pre_hook(note) for judge in judges]
    try:
        yield shapes
    finally:
        for handle in handles:
            handle.remove()


def _first_of_each(fed: Tensor) -> Tensor:
    """Index of the first row of each kind."""
    _, kind = fed.detach().flatten(1 if fed.ndim > 1 else 0).unique(dim=0, return_inverse=True)
    first: dict[int, int] = {}
    for row, one in enumerate(kind.tolist()):
        first.setdefault(one, row)
    return torch.tensor(sorted(first.values()))
