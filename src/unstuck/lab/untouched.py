"""Experiments that leave no trace: whatever a probe does, everything is bitwise as it was.

Put back: parameters, buffers, gradients, what asks for gradients, modes, attributes, hooks and
submodules of every module; the optimizer's state and settings; random states of Python, NumPy and
torch on every device; torch's own switches. Also after an exception or Ctrl-C; a Ctrl-C during the
putting back takes effect when it is done.
"""

import contextlib
import random
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter as preserve_version
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from unstuck.experiment import NotProbed

DEEPEST = 6  # containers within containers that are followed: state of state of an optimizer

_depth = 0


def under_way() -> bool:
    """Whether an experiment runs: what happens now is none of the training's doing."""
    return _depth > 0


@contextlib.contextmanager
def untouched(modules: Iterable[nn.Module], optimizer: Optimizer | None = None) -> Iterator[None]:
    """Let anything be done to these modules and this optimizer; afterwards nothing has been."""
    global _depth
    before = _Before()
    for root in modules:
        for module in root.modules():
            before.keep(vars(module))
    if optimizer is not None:
        before.keep(vars(optimizer))
    _depth += 1
    try:
        yield
    finally:
        with _uninterrupted():
            _depth -= 1
            before.put_back()


class _Before:
    """How everything was: containers by what they held, tensors by their numbers.

    Nothing is replaced: each container and each tensor is made again what it was, so that whoever
    else holds it sees no change either.
    """

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.containers: list[tuple[Any, Any]] = []
        self.tensors: list[_Kept] = []
        self.random = _Random()
        self.switches = _Switches()

    def keep(self, value: Any, depth: int = 0) -> None:
        if id(value) in self.seen or depth > DEEPEST:
            return
        if isinstance(value, Tensor):
            self.seen.add(id(value))
            self.tensors.append(_Kept(value))
            self.keep(value.grad if value.is_leaf else None, depth)
        elif isinstance(value, dict):
            self.seen.add(id(value))
            self.containers.append((value, list(value.items())))
            for key, part in value.items():
                self.keep(key, depth + 1)
                self.keep(part, depth + 1)
        elif isinstance(value, list | set | deque):
            self.seen.add(id(value))
            self.containers.append((value, list(value)))
            for part in value:
                self.keep(part, depth + 1)
        elif isinstance(value, tuple):
            for part in value:
                self.keep(part, depth + 1)

    def put_back(self) -> None:
        for container, held in self.containers:
            container.clear()
            if isinstance(container, list | deque):
                container.extend(held)
            else:
                container.update(held)
        with torch.no_grad():
            for kept in self.tensors:
                kept.put_back()
        for kept in self.tensors:  # after all of them: a gradient must be of its parameter's kind
            kept.put_back_gradient()
        self.switches.put_back()
        self.random.put_back()


class _Kept:
    """One tensor: its storage, its numbers, its gradient, its hooks."""

    def __init__(self, tensor: Tensor) -> None:
        if is_lazy(tensor):
            raise NotProbed("some parameters have no shape yet: run the model once before probing")
        self.tensor, self.data = tensor, tensor.data
        self.numbers = tensor.data.clone()
        self.asks = tensor.requires_grad
        self.grad = tensor.grad if tensor.is_leaf else None
        self.hooks = {name: dict(held) for name, held in _hooks(tensor).items()}
        self.version = None if tensor.is_inference() else preserve_version(tensor)

    def put_back(self) -> None:
        tensor = self.tensor
        if tensor.is_leaf:
            tensor.grad = None  # of another kind perhaps, and then in the way of the storage
        tensor.data = self.data
        self.data.copy_(self.numbers)
        if tensor.is_leaf and tensor.requires_grad != self.asks:
            tensor.requires_grad_(self.asks)
        for name, now in _hooks(tensor).items():
            now.clear()
            now.update(self.hooks.get(name, {}))
        if self.version is not None:  # the same numbers: graphs that wait for backward stay valid
            self.version.__exit__()

    def put_back_gradient(self) -> None:
        if self.tensor.is_leaf:
            self.tensor.grad = self.grad


def _hooks(tensor: Tensor) -> dict[str, dict[int, Any]]:
    """The hooks on a tensor, as the dictionaries torch keeps them in."""
    names = ("_backward_hooks", "_post_accumulate_grad_hooks")
    found = {name: getattr(tensor, name, None) for name in names}
    return {name: held for name, held in found.items() if held is not None}


class _Random:
    def __init__(self) -> None:
        self.python, self.numpy = random.getstate(), np.random.get_state()
        self.torch = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []

    def put_back(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)


class _Switches:
    """Torch's switches that a probe may turn."""

    def __init__(self) -> None:
        self.grad = torch.is_grad_enabled()
        self.deterministic = torch.are_deterministic_algorithms_enabled()
        self.warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        self.benchmark = torch.backends.cudnn.benchmark
        self.threads = torch.get_num_threads()
        self.dtype = torch.get_default_dtype()
        self.fast = torch.backends.mha.get_fastpath_enabled()

    def put_back(self) -> None:
        torch.set_grad_enabled(self.grad)
        torch.use_deterministic_algorithms(self.deterministic, warn_only=self.warn_only)
        torch.backends.cudnn.benchmark = self.benchmark
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        torch.set_default_dtype(self.dtype)
        torch.backends.mha.set_fastpath_enabled(self.fast)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C; it takes effect at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held and callable(handler):
            handler(*held[0])
