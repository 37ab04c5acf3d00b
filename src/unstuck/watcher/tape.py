"""What a training step computes outside of its modules, call by call, so that it can run again.

Kept are the calls that a parameter or a module reaches, with gradients on: each function of torch
and each outermost call of a module is one entry. All other tensors that enter them are data, kept
as they were. What is computed without gradients (targets, an agent's play) is data too.
"""

import dataclasses
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import Parameter

from unstuck.lab.batch import tensors

MOST_CALLS = 4000  # of one step; a step of more is not one that probes could repeat
LARGEST_BUFFER = 1 << 20  # numbers of a buffer that is kept beside a call


_OPERATORS = frozenset(
    f"__{name}__"
    for name in ("setitem", "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow")
)


@dataclass(frozen=True, slots=True)
class Made:
    """The n-th tensor that an entry put out."""

    entry: int
    number: int


@dataclass(frozen=True, slots=True)
class Given:
    """The n-th tensor that came from outside: data."""

    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """A parameter, itself."""

    parameter: Parameter

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weight) and other.parameter is self.parameter

    def __hash__(self) -> int:
        return id(self.parameter)


Ref = Made | Given | Weight


@dataclass(slots=True)
class Data:
    """A tensor that came from outside, as it was when it was first used."""

    value: Tensor
    original: Tensor
    foreign: bool  # it has a history that the tape does not know
    written: bool = False  # entries write into it


@dataclass(slots=True)
class Surroundings:
    """What a call depends on beside its arguments: switches, random states, buffers."""

    grad: bool
    autocast: dict[str, tuple[bool, torch.dtype]]
    random: tuple[Any, Any, Tensor, list[Tensor]]
    buffers: list[tuple[Tensor, Tensor]] = field(default_factory=list)


@dataclass(slots=True)
class Entry:
    """One call: what is called, with what, and which memory it writes into."""

    call: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]
    around: Surroundings
    reads: set[int]  # memory (id of the tensor that owns it) of what enters and comes out
    target: Tensor | None = None  # while the call runs: what it writes into
    writes: int | None = None

    @property
    def refs(self) -> list[Ref]:
        return within((self.args, self.options), Made | Given | Weight)


class Tape:
    """Entries of the running step. Tell it before a call and `after` it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.data: list[Data] = []
        self.why_not = ""  # why nothing of this step can run again
        self._refs: dict[int, tuple[Ref, Tensor]] = {}  # by id; the tensor is held so that it stays
        self._data: dict[tuple[int, int], Given] = {}  # by id and version

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]

    @property
    def full(self) -> bool:
        return len(self.entries) >= MOST_CALLS

    def ref_of(self, tensor: Tensor) -> Ref | None:
        """What a tensor is on this tape, if it was made by one of its entries."""
        found = self._refs.get(id(tensor))
        return found[0] if found else None

    def before_function(
        self, call: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]
    ) -> Entry | None:
        """A function of torch is called: its entry to be, or None where it does not count."""
        target = _target(call, args, options)
        counts = torch.is_grad_enabled() if target is None else not isinstance(target, Parameter)
        if not counts or self.full or not self._lives(args, options):
            return None
        if getattr(call, "__name__", "") == "register_hook":
            self.why_not = "the script puts hooks on tensors, which would hear the experiments"
        if any(isinstance(v, torch.Generator) for v in (*args, *options.values())):
            self.why_not = "its loss draws from a random generator of its own"
        reads = {_memory(t) for t in within((args, dict(options)), Tensor)}
        kept = self._kept(args), self._kept(dict(options))
        return Entry(call, *kept, surroundings(), reads, target)

    def before_module(self, module: nn.Module, args: tuple[Any, ...]) -> Entry | None:
        """An outermost module is called: its entry to be, or None where it does not count."""
        if not torch.is_grad_enabled() or self.full:
            return None
        around = surroundings()
        held = [b for b in module.buffers() if b.numel() <= LARGEST_BUFFER]
        around.buffers = [(b, b.detach().clone()) for b in held]
        reads = {_memory(t) for t in within(args, Tensor)}
        return Entry(module, self._kept(args), {}, around, reads)

    def after(self, entry: Entry, options: Mapping[str, Any], result: Any) -> None:
        """It has returned."""
        if isinstance(entry.call, nn.Module):
            entry.options = self._kept(dict(options))
            weights = next(entry.call.parameters(), None) is not None
            if not weights and all(isinstance(ref, Given) for ref in entry.refs):
                return  # it only prepares data
            entry.reads |= {_memory(t) for t in within(dict(options), Tensor)}
        made, target = list(tensors(result)), entry.target
        if not made and target is None:
            return
        if not any(t.requires_grad for t in made) and all(map(self._is_old, entry.refs)):
            return  # cut off from what was before this step: data
        number = len(self.entries)
        self.entries.append(entry)
        entry.reads |= {_memory(t) for t in made}
        for i, tensor in enumerate(made):
            if not isinstance(tensor, Parameter):
                self._refs[id(tensor)] = Made(number, i), tensor
        if target is not None:
            before = entry.options.get("out", entry.args[0] if entry.args else None)
            self._written(entry, target, before)

    def _written(self, entry: Entry, target: Tensor, before: Any) -> None:
        """An entry has written into a tensor, which was this before."""
        entry.writes, entry.target = _memory(target), None
        if isinstance(before, Given):
            self.data[before.number].written = True
            self._refs.setdefault(id(target), (before, target))

    def _is_old(self, ref: Ref) -> bool:
        """Whether this is data, though it may have a history from before the step."""
        return isinstance(ref, Given) and not self.data[ref.number].written

    def _lives(self, args: Any, options: Any) -> bool:
        """Whether any tensor that enters is a parameter or made from one, or asks for gradients."""
        return any(
            isinstance(t, Parameter) or t.requires_grad or id(t) in self._refs
            for t in within((args, dict(options)), Tensor)
        )

    def _kept(self, value: Any) -> Any:
        return swapped(value, Tensor, self._ref)

    def _ref(self, tensor: Tensor) -> Ref:
        if id(tensor) in self._refs:
            return self._refs[id(tensor)][0]
        if isinstance(tensor, Parameter):
            return Weight(tensor)
        key = id(tensor), 0 if tensor.is_inference() else tensor._version
        if key not in self._data:
            value = tensor.detach().clone().requires_grad_(tensor.requires_grad)
            self.data.append(Data(value, tensor, tensor.grad_fn is not None))
            self._data[key] = Given(len(self.data) - 1)
        return self._data[key]


def swapped(value: Any, kind: Any, change: Callable[[Any], Any]) -> Any:
    """The value with everything of a kind changed, also within containers; else the value itself.

    >>> swapped(({"a": [1, 2.0]}, 3), int, str)
    ({'a': ['1', 2.0]}, '3')
    """
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, list | tuple):
        parts = [swapped(part, kind, change) for part in value]
        if all(a is b for a, b in zip(parts, value, strict=True)):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, Mapping):
        held = {k: swapped(v, kind, change) for k, v in value.items()}
        if all(held[k] is v for k, v in value.items()):
            return value
        try:
            return held if type(value) is dict else type(value)(held)  # type: ignore[call-arg]
        except TypeError:
            return type(value)(**held)
    if isinstance(value, slice):
        ends = [swapped(part, kind, change) for part in (value.start, value.stop, value.step)]
        return slice(*ends)
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Made | Given | Weight):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        new = {k: swapped(v, kind, change) for k, v in fields.items()}
        same = all(new[k] is v for k, v in fields.items())
        return value if same else dataclasses.replace(value, **new)
    return value


def surroundings() -> Surroundings:
    """As they are now."""
    devices = ("cpu", "cuda") if torch.cuda.is_initialized() else ("cpu",)
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return Surroundings(
        torch.is_grad_enabled(),
        {d: (torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in devices},
        (random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda),
    )


def within(value: Any, kind: Any) -> list[Any]:
    """Everything of a kind in a value, in order."""
    found = []

    def see(part: Any) -> Any:
        found.append(part)
        return part

    swapped(value, kind, see)
    return found


def _memory(tensor: Tensor) -> int:
    """The tensor whose memory it is, by id: the base of a view."""
    base = None if tensor.is_inference() else tensor._base
    return id(tensor if base is None else base)


def _target(
    call: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]
) -> Tensor | None:
    """The tensor a function writes into: `add_`, `x[i] = y`, `x += y`, `out=x`."""
    out = options.get("out")
    if isinstance(out, Tensor):
        return out
    name = getattr(call, "__name__", "")
    into = name in _OPERATORS or (name.endswith("_") and not name.endswith("__"))
    return args[0] if into and args and isinstance(args[0], Tensor) else None
