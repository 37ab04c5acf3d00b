"""What a model draws, beside the real samples that its loss compares them with."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

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
        with subject.evaluating():
            torch.manual_seed(SEED + number)
            calls = subject.calls(batch)
        part = _of_call(subject, calls[0], batch) if calls else None
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


def _of_call(subject: Subject, call: Call, batch: Any) -> Drawn | None:
    outputs = [t for t in tensors(call.output) if t.ndim > 1 and t.is_floating_point()]
    inputs = [t for t in tensors([list(call.args), call.kwargs]) if t.ndim]
    if not outputs or not inputs or len(inputs[0]) != len(outputs[0]):
        return None
    made, fed = outputs[0], inputs[0]
    shape = made.shape[1:]
    opponent = any(True for other in subject.others for _ in other.parameters())
    real = [
        t
        for t in tensors(batch)
        if opponent and t.is_floating_point() and t.shape[1:] == shape and fed.shape[1:] != shape
    ]
    return Drawn(as_rows(made), _first_of_each(fed), as_rows(real[0]) if real else None)


def _first_of_each(fed: Tensor) -> Tensor:
    """Index of the first row of each kind."""
    _, kind = fed.detach().flatten(1 if fed.ndim > 1 else 0).unique(dim=0, return_inverse=True)
    first: dict[int, int] = {}
    for row, one in enumerate(kind.tolist()):
        first.setdefault(one, row)
    return torch.tensor(sorted(first.values()), device=fed.device)
