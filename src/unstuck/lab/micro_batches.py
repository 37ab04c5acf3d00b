"""Micro-batches: how a batch may be cut, and what in a model makes the cutting felt."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.experiment import NotProbed
from unstuck.lab import batch as batches_of
from unstuck.lab.subject import Subject

CANNOT = (RuntimeError, ValueError, IndexError, KeyError, TypeError, AttributeError, AssertionError)
_BATCH_NORM = nn.modules.batchnorm._BatchNorm
_DROPOUT = nn.modules.dropout._DropoutNd


def into_training(model: nn.Module) -> None:
    """Training mode, unless some part is in it already: then the modes are meant as they are."""
    if not any(module.training for module in model.modules()):
        model.train()


def batch_norms(model: nn.Module) -> dict[str, nn.Module]:
    """Layers that normalise by the statistics of the batch they see, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BATCH_NORM)
        and (module.training or (module.running_mean is None and module.running_var is None))
    }


def silence(model: nn.Module) -> None:
    """No unit is dropped at random any more, whatever the mode."""
    for module in model.modules():
        if isinstance(module, _DROPOUT):
            module.p = 0.0
        elif isinstance(module, nn.MultiheadAttention | nn.RNNBase):
            module.dropout = 0.0


def freeze(norms: Iterable[nn.Module]) -> None:
    """Let them normalise by their running statistics; without any, not at all."""
    for module in norms:
        module.eval()
        if isinstance(module, _BATCH_NORM) and module.running_mean is None:
            module.running_mean = torch.zeros(module.num_features, device=_device(module))
            module.running_var = torch.ones(module.num_features, device=_device(module))


def same(first: Any, second: Any) -> bool:
    """Whether two batches hold the same numbers."""
    mine, theirs = list(batches_of.tensors(first)), list(batches_of.tensors(second))
    return len(mine) == len(theirs) and all(
        a.shape == b.shape and a.dtype == b.dtype and _equal(a, b)
        for a, b in zip(mine, theirs, strict=True)
    )


def others(subject: Subject) -> Iterator[Any]:
    """Further batches, one at a time, without the subject's own."""
    for one in subject.batches:
        batch = batches_of.moved(one, subject.device)
        if not same(batch, subject.batch):
            yield batch


def samples_first(batch: Any) -> None:
    """NotProbed where another dimension than the first seems to count the samples.

    So it is with time first: the inputs (time, sample, ...) and all that goes with them (sample,).
    """
    first, *rest = [tensor for tensor in batches_of.tensors(batch) if tensor.ndim]
    lengths = {len(tensor) for tensor in rest}
    if lengths and len(first) not in lengths and lengths & set(first.shape[1:]):
        other = next(n for n in first.shape[1:] if n in lengths)
        raise NotProbed(
            f"is a sample one of {len(first)} or of {other}? The tensors of the batch do not agree "
            "in their first dimension: give a batch with the samples first"
        )


def cut(batch: Any, size: int) -> list[Any]:
    """Consecutive micro-batches of `size` samples; what is left over is left out."""
    count = batches_of.size(batch) // size
    return [batches_of.taken(batch, slice(i * size, (i + 1) * size)) for i in range(count)]


def _device(module: nn.Module) -> torch.device:
    return next((p.device for p in module.parameters()), torch.device("cpu"))


def _equal(first: Tensor, second: Tensor) -> bool:
    return bool((first == second).all())
