"""Scalars on their way from the devices to the writer's thread; the training never waits for them.

One vector a device is made on the device. From a GPU it is copied into pinned memory behind the
kernels already queued, with an event after it: only the writer waits, and only for that event.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Read = Callable[[], list[float]]  # in the writer's thread


def reader(values: Sequence[Tensor]) -> Read:
    """Start copying scalars of any device and type; the result gives their numbers, in order."""
    places: dict[torch.device, list[int]] = {}
    for i, value in enumerate(values):
        places.setdefault(value.device, []).append(i)
    if len(places) == 1:
        return _copied(torch.stack([_scalar(v) for v in values]))
    parts = [
        (found, _copied(torch.stack([_scalar(values[i]) for i in found])))
        for found in places.values()
    ]

    def read() -> list[float]:
        numbers = [0.0] * len(values)
        for found, part in parts:
            for i, number in zip(found, part(), strict=True):
                numbers[i] = number
        return numbers

    return read


def _scalar(value: Tensor) -> Tensor:
    if value.requires_grad:
        value = value.detach()
    if value.ndim:
        value = value.reshape(())
    if value.dtype is torch.float32:
        return value
    return value.real.float() if value.is_complex() else value.float()


def _copied(vector: Tensor) -> Read:
    if not vector.is_cuda:
        return vector.tolist
    with torch.cuda.device(vector.device):
        host = torch.empty(vector.shape, dtype=vector.dtype, pin_memory=True)
        host.copy_(vector, non_blocking=True)
        done = torch.cuda.Event()
        done.record()

    def read() -> list[float]:
        done.synchronize()
        return [float(number) for number in host.tolist()]

    return read
