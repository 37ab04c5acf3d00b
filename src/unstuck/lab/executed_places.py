"""Where activations lie in memory, which tells them apart also behind views and in place.

Holds while no memory is used a second time: whoever records keeps what operations return.
"""

from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor

Key = tuple[int, int, tuple[int, ...], tuple[int, ...], torch.dtype]


class Places:
    """The number of the activation that a tensor holds."""

    def __init__(self) -> None:
        self.number_at: dict[Key, int] = {}
        self.at: defaultdict[int, set[Key]] = defaultdict(set)
        self.written: defaultdict[int, list[tuple[Key, int]]] = defaultdict(list)

    def put(self, key: Key, number: int) -> None:
        self.number_at[key] = number
        self.at[key[0]].add(key)

    def sharing(self, key: Key) -> Iterator[tuple[Key, int]]:
        """Other activations that share memory with this one."""
        for other in list(self.at[key[0]]):
            if other != key and overlap(other, key):
                yield other, self.number_at[other]

    def written_into(self, key: Key) -> list[int]:
        """Activations that were written into a part of this tensor, whose memory was none."""
        return [n for k, n in self.written.get(key[0], ()) if overlap(k, key)]


def key_of(tensor: Tensor) -> Key | None:
    """The place of a tensor's numbers in memory; None where it has none of its own."""
    try:
        start = tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # sparse, or a stand-in
        return None
    if not start or not tensor.numel():
        return None
    offset = int(tensor.storage_offset())
    return start, offset, tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype


def is_number(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def overlap(one: Key, other: Key) -> bool:
    return one[1] <= _last(other) and other[1] <= _last(one)


def _last(key: Key) -> int:
    return key[1] + sum((length - 1) * step for length, step in zip(key[2], key[3], strict=True))
