"""The inputs and the labels of a batch, and the same batch with its labels shuffled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unstuck.experiment import NotProbed
from unstuck.lab.batch import mapped, tensors
from unstuck.lab.subject import Subject, takes_model

Chosen = Callable[[Any], tuple[Tensor, Tensor]]

NAMES = ("labels", "label", "targets", "target", "y")
FEW = 20  # distinct whole numbers that are taken for classes where they come as floats
TELL = "tell where they are with labelled=lambda batch: (inputs, labels)"


@dataclass(frozen=True, slots=True)
class Labels:
    """(n, k) float64: indicators of `classes` kinds of samples, or targets where that is 0."""

    columns: Tensor
    classes: int


def labelled_in(batch: Any, chosen: Chosen | None) -> tuple[Any, Tensor]:
    """Inputs (a tensor or a container of some) and labels (n,) or (n, k) of a batch."""
    inputs: Any
    if chosen is not None:
        inputs, labels = chosen(batch)
    elif isinstance(batch, Mapping):
        name = next((name for name in NAMES if isinstance(batch.get(name), Tensor)), None)
        if name is None:
            raise NotProbed(f"the batch has no labels among {', '.join(map(str, batch))}; {TELL}")
        labels, inputs = batch[name], {key: part for key, part in batch.items() if key != name}
    elif isinstance(batch, list | tuple) and len(batch) == 2:
        inputs, labels = batch
    else:
        raise NotProbed(
            f"a batch of this kind ({type(batch).__name__}) has no plain labels; {TELL}"
        )
    if not isinstance(labels, Tensor) or labels.ndim not in (1, 2) or labels.is_complex():
        shape = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise NotProbed(f"labels are looked at one or one row a sample, not {shape}; {TELL}")
    if labels.ndim == 2 and labels.shape[1] > 1 and not _are_numbers(labels):
        raise NotProbed(f"labels {tuple(labels.shape)} are tokens, not classes or numbers; {TELL}")
    return inputs, labels.detach()


def check_are_labels(subject: Subject) -> None:
    """NotProbed where a loss of (model, batch) does not feed the model the inputs, or feeds it the
    labels: a noise, a time, a class that a generator is asked for."""
    if subject.labelled is not None or not takes_model(subject.loss):
        return
    inputs, labels = labelled_in(subject.batch, None)
    fed = [t for call in subject.calls() for t in tensors((call.args, call.kwargs))]
    if not any(_same(t, x) for x in tensors(inputs) for t in fed):
        raise NotProbed(f"the model is not called with the batch's inputs themselves; {TELL}")
    if any(_same(t, labels) for t in fed):
        raise NotProbed(f"the model is called with what looks like labels; {TELL}")


def _same(a: Tensor, b: Tensor) -> bool:
    """The same numbers, in whatever shape."""
    if a.numel() != b.numel() or a.dtype != b.dtype or not a.numel():
        return False
    return bool(torch.equal(a.detach().reshape(-1), b.detach().reshape(-1).to(a.device)))


def _are_numbers(labels: Tensor) -> bool:
    if labels.is_floating_point() or labels.dtype == torch.bool:
        return True
    return bool(((labels == 0) | (labels == 1)).all())


def as_columns(labels: Tensor) -> Labels:
    """Classes as indicators, targets standardised; NotProbed where every sample has its own."""
    plain = labels.to("cpu", torch.float64)
    flat = plain.reshape(len(plain), -1)
    broken = int((~flat.isfinite().all(1)).sum())
    if broken:
        raise NotProbed(f"the labels of {broken} of {len(flat)} samples are not finite")
    if flat.shape[1] == 1:
        values, kind = flat[:, 0].unique(return_inverse=True)
        whole = bool((values == values.round()).all())
        if whole and (not labels.is_floating_point() or len(values) <= FEW):
            if len(values) > len(flat) // 2:
                raise NotProbed(
                    f"{len(flat)} samples have {len(values)} different labels: too few of a kind "
                    "to tell whether they have anything in common; give more batches="
                )
            return Labels(torch.nn.functional.one_hot(kind).to(torch.float64), len(values))
    spread = flat.std(0)
    kept = flat[:, spread > 1e-9 * flat.abs().max().clamp_min(1e-300)]
    kept = (kept - kept.mean(0)) / kept.std(0)
    if kept.shape[1] > FEW:  # the directions in which they differ most
        kept = kept @ torch.linalg.svd(kept, full_matrices=False)[2][:FEW].T
    return Labels(kept, 0)


def shuffled(batch: Any, labels: Tensor, order: Tensor) -> Any | None:
    """The batch with other samples' labels; None where they are not a tensor of the batch."""
    found = False

    def change(tensor: Tensor) -> Tensor:
        nonlocal found
        if tensor.shape != labels.shape or tensor.data_ptr() != labels.data_ptr():
            return tensor
        found = True
        return tensor[order.to(tensor.device)]

    if isinstance(batch, list | tuple) and len(batch) == 2 and isinstance(batch[1], Tensor):
        changed: Any = (batch[0], change(batch[1]))  # inputs may be the same tensor
    else:
        changed = mapped(batch, change)
    return changed if found else None
