"""What a training step allocates, moment by moment: every storage from its birth to its end.

Counted are the storages that operations make on the model's device. What a kernel needs for itself
and gives back before it ends is counted by torch's profiler, on a GPU by its own allocator.
"""

import contextlib
import functools
import inspect
import random
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unstuck.lab import batch as batches_of
from unstuck.lab.allocation_kernels import Kernels
from unstuck.lab.operations_layers import OUTSIDE, layers_followed
from unstuck.lab.subject import Subject
from unstuck.records import Floats

PHASES = ("forward", "backward", "step")
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def shown(count: float) -> str:
    """Bytes for people, in powers of ten.

    >>> shown(15e9), shown(2_340_000), shown(512)
    ('15 GB', '2.34 MB', '512 B')
    """
    for unit, size in reversed(UNITS.items()):
        if abs(count) >= size:
            return f"{count / size:.3g} {unit}B"
    return f"{count:.3g} B"


@dataclass(frozen=True, slots=True)
class Moments:
    """One training step as its allocations.

    `alive`: (moments, 4) bytes at each operation: alive after it by the phase they were made in,
    and the scratch memory of its kernel; `during`: the phase of each moment; `layers`: bytes alive
    when the forward pass ends, by the layer that made them; `standing`: bytes that were there
    before (parameters, buffers, optimizer, batch); `gradients`: bytes of the parameters'
    gradients; `unseen`: bytes at the peak that only the GPU's own counter saw.
    """

    alive: Floats
    during: tuple[int, ...]
    layers: Mapping[str, int]
    standing: Mapping[str, int]
    gradients: int
    unseen: int = 0

    @property
    def peak(self) -> int:
        """Most bytes at any moment."""
        highest = float(self.alive.sum(1).max()) if len(self.alive) else 0.0
        return int(sum(self.standing.values()) + highest) + self.unseen


def moments_of(
    subject: Subject,
    batch: Any,
    forward: contextlib.AbstractContextManager[Any] | None = None,
) -> Moments:
    """Follow one training step on a batch; `forward` is entered around the loss (autocast).

    The optimizer has made a step before, so that its state is there, and no gradient waits.
    """
    _clear(subject)
    seed()
    follower = _Follower(subject)
    with (
        _gpu_counter(subject.device) as most,
        follower.kernels.counted(subject.device.type == "cpu"),
        layers_followed(subject.model, subject.name, follower.layer),
        follower,
    ):
        with forward or contextlib.nullcontext():
            loss = subject.value(batch)
        follower.forward_ends()
        loss.backward()
        del loss
        gradients = sum(_sizes(p.grad for p in _parameters(subject)))
        follower.phase = 2
        if subject.optimizer is not None:
            make_step(subject.optimizer)
    alive = follower.alive()
    unseen = max(0, most[0] - int(alive.sum(1).max())) if most else 0
    layers, standing = follower.layers, _standing(subject, batch)
    return Moments(alive, tuple(follower.during), layers, standing, gradients, unseen)


def make_step(optimizer: Optimizer) -> None:
    """One step with the gradients there are, also of an optimizer that asks for a closure."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        optimizer.step(lambda: 0.0)
    else:
        optimizer.step()


def warmed_up(subject: Subject, batch: Any) -> None:
    """One plain training step, after which the optimizer's state exists."""
    _clear(subject)
    seed()
    subject.value(batch).backward()
    if subject.optimizer is not None:
        make_step(subject.optimizer)


def seed(number: int = 0) -> None:
    """Common random numbers; whoever runs the experiment puts the states back."""
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number)


class _Follower(TorchDispatchMode):
    """Adds a storage up when an operation returns it and takes it off when it is freed."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = subject.device
        self.phase = 0
        self.layer: list[str] = []
        self.sums = [0, 0, 0]
        self.moments: list[tuple[int, ...]] = []
        self.during: list[int] = []
        self.layers: dict[str, int] = {}
        self.held: dict[int, _Storage] = {}
        self.kernels = Kernels()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        for tensor in _tensors((args, kwargs)):
            self._meet(tensor, made_here=False)
        with self.kernels.operation():
            out = func(*args, **kwargs)
        for tensor in _tensors(out):
            self._meet(tensor, made_here=True)
        self.moments.append(tuple(self.sums))
        self.during.append(self.phase)
        return out

    def _meet(self, tensor: Tensor, made_here: bool) -> None:
        for storage in _storages(tensor):
            key = storage._cdata
            if key not in self.held:
                counts = made_here and storage.device.type == self.device.type
                size = storage.nbytes() if counts else 0
                end = weakref.ref(storage, functools.partial(self._ends, key))
                layer = self.layer[-1] if self.layer else OUTSIDE
                self.held[key] = _Storage(size, self.phase, layer, end)
                self.sums[self.phase] += size

    def _ends(self, key: int, _: Any) -> None:
        gone = self.held.pop(key, None)
        if gone is not None:
            self.sums[gone.phase] -= gone.size

    def forward_ends(self) -> None:
        for storage in list(self.held.values()):
            if storage.size:
                self.layers[storage.layer] = self.layers.get(storage.layer, 0) + storage.size
        self.phase = 1

    def alive(self) -> Floats:
        """(moments, 4): see Moments."""
        table = np.zeros((len(self.moments), 4))
        table[:, :3] = self.moments
        if len(self.kernels.scratch) == len(table):
            table[:, 3] = self.kernels.scratch
        return table


@dataclass(slots=True)
class _Storage:
    size: int
    phase: int
    layer: str
    end: Any = field(repr=False)  # the weak reference whose callback notices the end


@contextlib.contextmanager
def _gpu_counter(device: torch.device) -> Iterator[list[int]]:
    """The most bytes the GPU's own allocator handed out meanwhile; empty elsewhere."""
    most: list[int] = []
    if device.type != "cuda":
        yield most
        return
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    yield most
    torch.cuda.synchronize(device)
    most.append(torch.cuda.max_memory_allocated(device) - before)


def _standing(subject: Subject, batch: Any) -> dict[str, int]:
    """Bytes that are there before a step begins; what is shared counts once."""
    seen: set[int] = set()
    modules = (subject.model, *subject.others)
    state = subject.optimizer.state if subject.optimizer is not None else {}
    groups: dict[str, Iterable[Any]] = {
        "parameters": _parameters(subject),
        "buffers": [b for m in modules for b in m.buffers()],
        "optimizer": [t for entry in list(state.values()) for t in _tensors(entry)],
    }
    held = {name: sum(_sizes(found, seen)) for name, found in groups.items()}
    return held | {"batch": sum(t.numel() * t.element_size() for t in batches_of.tensors(batch))}


def _parameters(subject: Subject) -> list[Tensor]:
    optimizer = subject.optimizer
    found = [p for m in (subject.model, *subject.others) for p in m.parameters()]
    found += [p for g in (optimizer.param_groups if optimizer else ()) for p in g["params"]]
    return list({id(p): p for p in found}.values())


def _clear(subject: Subject) -> None:
    for parameter in _parameters(subject):
        parameter.grad = None


def _sizes(found: Iterable[Tensor | None], seen: set[int] | None = None) -> Iterator[int]:
    seen = set() if seen is None else seen
    for tensor in found:
        for storage in _storages(tensor) if tensor is not None else ():
            if storage._cdata not in seen:
                seen.add(storage._cdata)
                yield storage.nbytes()


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _storages(tensor: Tensor) -> Iterator[torch.UntypedStorage]:
    if tensor.layout is torch.sparse_coo:
        yield from (tensor._indices().untyped_storage(), tensor._values().untyped_storage())
    elif tensor.layout is torch.strided:
        with contextlib.suppress(NotImplementedError, RuntimeError):
            yield tensor.untyped_storage()
