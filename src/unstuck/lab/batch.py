"""Batches as users have them: a tensor, or tuples, lists, mappings and dataclasses of tensors.

A sample is one entry of the first dimension; what has another length goes along whole.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def tensors(batch: Any) -> Iterator[Tensor]:
    """Every tensor of a batch, in order."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for part in batch.values():
            yield from tensors(part)
    elif isinstance(batch, list | tuple):
        for part in batch:
            yield from tensors(part)
    elif dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        for field in dataclasses.fields(batch):
            yield from tensors(getattr(batch, field.name))


def mapped(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same batch with every tensor changed; the containers are new ones of the same kind."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, dict):
        return _like(batch, {k: mapped(v, change) for k, v in batch.items()})
    if isinstance(batch, Mapping):  # BatchEncoding and its kin
        return type(batch)({k: mapped(v, change) for k, v in batch.items()})  # type: ignore[call-arg]
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(part, change) for part in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(mapped(part, change) for part in batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        fields = [f for f in dataclasses.fields(batch) if f.init]
        return dataclasses.replace(
            batch, **{f.name: mapped(getattr(batch, f.name), change) for f in fields}
        )
    return batch


def size(batch: Any) -> int:
    """Number of samples: the length of the first tensor that has one. ValueError without any."""
    for tensor in tensors(batch):
        if tensor.ndim:
            return len(tensor)
    raise ValueError(f"a batch ({type(batch).__name__}) holds no tensor with a first dimension")


def taken(batch: Any, index: Tensor | slice | Sequence[int]) -> Any:
    """These samples of a batch."""
    count = size(batch)
    rows = index if isinstance(index, slice) else torch.as_tensor(index)

    def take(tensor: Tensor) -> Tensor:
        if not tensor.ndim or len(tensor) != count:
            return tensor
        return tensor[rows] if isinstance(rows, slice) else tensor[rows.to(tensor.device)]

    return mapped(batch, take)


def chunks(batch: Any, parts: int) -> list[Any]:
    """Consecutive micro-batches of equal size; ValueError where the samples do not divide."""
    count = size(batch)
    if parts < 1 or count % parts:
        raise ValueError(f"a batch of {count} cannot be cut into {parts} equal parts")
    length = count // parts
    return [taken(batch, slice(i * length, (i + 1) * length)) for i in range(parts)]


def together(batches: Iterable[Any]) -> Any:
    """Batches of one kind as a single one. ValueError for none."""
    parts = list(batches)
    if not parts:
        raise ValueError("no batches to join")
    columns = [list(tensors(part)) for part in parts]
    counts = [size(part) for part in parts]
    rows = iter(zip(*columns, strict=True))

    def joined(tensor: Tensor) -> Tensor:
        found = next(rows)
        long = all(t.ndim and len(t) == n for t, n in zip(found, counts, strict=True))
        return torch.cat(found) if long else tensor

    return mapped(parts[0], joined)


def moved(batch: Any, device: torch.device | str) -> Any:
    """The batch on a device."""
    return mapped(batch, lambda tensor: tensor.to(device))


def _like(batch: dict[Any, Any], parts: dict[Any, Any]) -> Any:
    if type(batch) is dict:
        return parts
    try:
        return type(batch)(parts)
    except TypeError:
        return type(batch)(**parts)
