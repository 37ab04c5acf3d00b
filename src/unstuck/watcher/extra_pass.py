"""Backward passes of our own that leave no trace: nothing of the user's runs twice because of them.

Random numbers drawn in them are given back, and so are buffers: where activations are checkpointed
a backward pass runs the forward pass again, and batch normalisation would count its batch twice.
Hooks the user has put on tensors would fire once more: where there are any, no extra pass is made.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from unstuck.lab.untouched import under_way

LARGEST = 1 << 20  # numbers of a buffer that is put back; statistics are smaller, tables larger


@contextlib.contextmanager
def undisturbed(models: Iterable[nn.Module], parameters: Iterable[Tensor]) -> Iterator[None]:
    """Run passes through these models; random states and buffers are as before when it is over."""
    found = {id(b): b.data for m in models for b in m.buffers() if b.numel() <= LARGEST}
    buffers = list(found.values())
    before = [b.clone() for b in buffers]
    devices = {p.device.index for p in parameters if p.device.type == "cuda"}
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            if buffers:
                torch._foreach_copy_(buffers, before)


def hooked(models: Iterable[nn.Module], parameters: Iterable[Tensor]) -> bool:
    """Whether hooks of the user's on modules or parameters would see a pass of ours."""
    if hooks._global_backward_hooks or hooks._global_backward_pre_hooks:
        return True
    if any(p._backward_hooks for p in parameters):
        return True
    return any(m._backward_hooks or m._backward_pre_hooks for x in models for m in x.modules())


class TensorHooks:
    """Hears of hooks put on tensors in the middle of a graph, which nothing else tells of."""

    NAMES = ("register_hook", "retain_grad")

    def __init__(self) -> None:
        self._originals: dict[str, Any] = {}
        self._seen = False

    def start(self) -> None:
        for name in self.NAMES:
            self._originals[name] = getattr(Tensor, name)
            setattr(Tensor, name, self._noting(self._originals[name]))

    def stop(self) -> None:
        for name, original in self._originals.items():
            setattr(Tensor, name, original)
        self._originals = {}

    def take(self) -> bool:
        """Whether there were any since this was last asked."""
        seen, self._seen = self._seen, False
        return seen

    def _noting(self, original: Any) -> Any:
        def method(tensor: Tensor, *args: Any, **options: Any) -> Any:
            self._seen = self._seen or (tensor.grad_fn is not None and not under_way())
            return original(tensor, *args, **options)

        method.__name__, method.__doc__ = original.__name__, original.__doc__
        method._torchdynamo_disable = True  # type: ignore[attr-defined]
        return method
