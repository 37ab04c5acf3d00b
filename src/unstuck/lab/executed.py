"""What a call of a model executes: which activations flow into which.

Seen below autograd, so that functions of its own, fused modules and every operator are in it. An
activation is what was made of the batch; parameters, constants, random numbers and masks are none.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from unstuck.lab import batch as batches_of
from unstuck.lab.executed_graph import Graph, Join, Node
from unstuck.lab.executed_kinds import (
    FACTORIES,
    JOINS,
    Kind,
    carriers,
    channel_after,
    is_broadcast,
    kind_of,
    plain,
)
from unstuck.lab.executed_places import Key, Places, is_number, key_of

RECURRENT_MODULES = (nn.RNNBase, nn.RNNCellBase)
CHANNEL = {2: 1, 4: 1, 5: 1}  # of a batch of vectors, pictures, volumes
Active = Sequence[tuple[Tensor, int]]


def recorded(run: Callable[[], Any], model: nn.Module, batch: Any) -> Graph:
    """The graph of `run`, which hands this batch to the model, or to parts of it.

    Holds every activation of the run in memory until it is over.
    """
    recorder = _Recorder(model, batch)
    with in_plain_steps(), recorder, recorder.modules_followed():
        run()
    return recorder.graph


@contextlib.contextmanager
def in_plain_steps() -> Iterator[None]:
    """No compiled regions and no fused path of attention: each step shows."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class _Recorder(TorchDispatchMode):
    def __init__(self, model: nn.Module, batch: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = Graph()
        self.model = model
        self.names = {id(m): _own_name(n) for n, m in model.named_modules()}
        self.stack: list[nn.Module] = []
        self.kept: list[Tensor] = []
        self.places = Places()
        self.whole: set[int] = set()  # memory that holds whole numbers of the batch
        self.weights = {k[0] for p in model.parameters() if (k := key_of(p)) is not None}
        self.seen = 0  # sums, differences, concatenations
        self.samples = batches_of.size(batch)
        self.enter_batch(batch)

    def enter_batch(self, batch: Any) -> None:
        for tensor in batches_of.tensors(batch):
            key = key_of(tensor)
            if key is None or key in self.places.number_at or key[0] in self.weights:
                continue
            if is_number(tensor):
                shape = tuple(tensor.shape)
                self.add(Node("input", "root", (), "", shape, CHANNEL.get(tensor.ndim)), key)
            elif tensor.dtype != torch.bool:
                self.whole.add(key[0])

    def add(self, node: Node, key: Key) -> int:
        self.graph.nodes.append(node)
        self.places.put(key, len(self.graph.nodes) - 1)
        return len(self.graph.nodes) - 1

    # Modules -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def modules_followed(self) -> Iterator[None]:
        handles: list[RemovableHandle] = []
        try:
            for module in self.model.modules():
                if isinstance(module, torch.jit.ScriptModule):
                    continue  # takes no hooks: what it does is seen, but has no name
                handles.append(module.register_forward_pre_hook(self.entered))
                handles.append(module.register_forward_hook(self.left, always_call=True))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def entered(self, module: nn.Module, args: Any) -> None:
        if module is self.model and module not in self.stack:
            self.graph.calls += 1
            self.enter_batch(args)
            with contextlib.suppress(ValueError):
                self.samples = batches_of.size(args)
        self.stack.append(module)

    def left(self, module: nn.Module, args: Any, out: Any) -> None:
        if module in self.stack:
            del self.stack[len(self.stack) - 1 - self.stack[::-1].index(module) :]

    @property
    def module(self) -> str:
        return self.names[id(self.stack[-1])] if self.stack else ""

    # Operations ----------------------------------------------------------------------------

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = plain(func._schema.name)
        handed = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        before = [self.find(t) for t in handed]
        operands = self.operands(name, args)
        out = func(*args, **kwargs)
        self.seen += name in JOINS
        given = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
        self.kept += given
        changed = [t for t in _written(func, args, kwargs) if all(t is not g for g in given)]
        if name not in FACTORIES:
            for tensor in (*given, *changed):
                self.made(name, args, handed, before, tensor)
        if operands is not None and given:
            self.joined(name, args, operands, given[0])
        return out

    def made(
        self,
        name: str,
        args: Sequence[Any],
        handed: Sequence[Tensor],
        before: Sequence[int | None],
        out: Tensor,
    ) -> None:
        """Note where a result came from: an activation, weights, whole numbers of the batch."""
        key = key_of(out)
        if key is None:
            return
        in_place = bool(args) and args[0] is out
        active = [(t, n) for t, n in zip(handed, before, strict=True) if n is not None]
        if name == "copy_":  # nothing is left of what was there
            active = [(t, n) for t, n in active if t is not out]
        keys = [k for t in handed if (k := key_of(t)) is not None]
        weighed = any(k[0] in self.weights for k in keys)
        whole = any(k[0] in self.whole for k in keys)
        if not is_number(out):
            if whole and not active and out.dtype != torch.bool:
                self.whole.add(key[0])
        elif not active and not whole:
            if weighed:
                self.weights.add(key[0])
        elif in_place or keys != [key]:  # otherwise another name of the same numbers
            node = self.node(name, args, active, out, weighed, [n is not None for n in before])
            number = self.add(node, key)
            if in_place:
                self.spread(key, number)

    def spread(self, key: Key, number: int) -> None:
        """An activation was written here: what shares the memory is made of it, too."""
        for other, old in list(self.places.sharing(key)):
            module = self.graph.nodes[number].module
            channel = self.graph.nodes[old].channel
            self.add(Node("write", "same", (old, number), module, other[2], channel), other)
        self.places.written[key[0]].append((key, number))

    def find(self, tensor: Tensor) -> int | None:
        """The node of a tensor; also of one that an activation was written into a part of."""
        key = key_of(tensor)
        if key is None or key in self.places.number_at:
            return None if key is None else self.places.number_at[key]
        parents = tuple(dict.fromkeys(self.places.written_into(key)))
        if not parents or not is_number(tensor):
            return None
        module = self.graph.nodes[parents[-1]].module
        return self.add(
            Node("write", "same", parents, module, key[2], CHANNEL.get(tensor.ndim)), key
        )

    def node(
        self,
        name: str,
        args: Sequence[Any],
        active: Active,
        out: Tensor,
        weighed: bool,
        flags: Sequence[bool],
    ) -> Node:
        nodes, shape = self.graph.nodes, tuple(out.shape)
        if not active:
            channel = out.ndim - 1 if name == "embedding" else None
            return Node(name, "root", (), self.module, shape, channel, None, name != "embedding")
        real = [(t, n) for t, n in active if not nodes[n].cast] or list(active)
        inside = any(isinstance(m, RECURRENT_MODULES) for m in self.stack)
        kind = kind_of(name, args, inside, flags)
        if kind == "spatial" and not weighed and not inside:
            kind = "same"  # a fixed filter: blurring, differences of neighbours
        chosen = carriers(name, kind, out, [t for t, _ in real])
        if name in ("mul", "div") and len(chosen) > 1:
            chosen = [i for i in chosen if not self.is_projection(real[i][1])] or chosen
            kind = "bend" if len(chosen) > 1 else "same"  # by an activation, or merely scaled
        first, parent = real[chosen[0]]
        channel = channel_after(name, kind, nodes[parent].channel, first, out, args)
        made_from = tuple(real[i][1] for i in chosen)
        cast = kind == "same" and all(nodes[n].cast for n in made_from)
        positions = self.positions(kind, first, out)
        return Node(name, kind, made_from, self.module, shape, channel, positions, cast, weighed)

    def is_projection(self, number: int) -> bool:
        """Whether it comes straight out of a layer, as the scales do that modulate features."""
        nodes = self.graph.nodes
        while nodes[number].kind == "same" and len(nodes[number].carriers) == 1:
            number = nodes[number].carriers[0]
        return nodes[number].kind == "linear"

    def positions(self, kind: Kind, first: Tensor, out: Tensor) -> int | None:
        if kind == "spatial" and out.ndim > 2:
            return min(first.shape[2:].numel(), out.shape[2:].numel())
        if kind == "linear" and out.ndim == 2 and out.shape[0] > self.samples:
            return int(out.shape[0]) // self.samples
        return None

    # Joins ---------------------------------------------------------------------------------

    def operands(self, name: str, args: Sequence[Any]) -> tuple[int | None, ...] | None:
        """The nodes of what is added or concatenated, where that could join a skip."""
        if name not in JOINS or not args or (self.graph.calls and self.model not in self.stack):
            return None
        if any(isinstance(m, RECURRENT_MODULES) for m in self.stack):
            return None
        parts = args[0] if name == "cat" else args[:2]
        if len(parts) < 2 or not all(isinstance(p, Tensor) and p.ndim > 1 for p in parts):
            return None
        if name != "cat" and parts[0].shape != parts[1].shape:
            return None
        found = tuple(self.operand(p) for p in parts)
        return found if sum(n is not None for n in found) > 1 else None

    def operand(self, tensor: Tensor) -> int | None:
        number = self.find(tensor)
        if number is None or is_broadcast(tensor) or self.graph.nodes[number].cast:
            return None
        return number

    def joined(
        self, name: str, args: Sequence[Any], operands: tuple[int | None, ...], out: Tensor
    ) -> None:
        key = key_of(out)
        if key is None or key not in self.places.number_at:
            return
        known = [self.graph.nodes[n].channel for n in operands if n is not None]
        channel = next((c for c in reversed(known) if c is not None), None)
        if name == "cat":
            place = (args[1] if len(args) > 1 else 0) % out.ndim
            if place == 0 or place != (out.ndim - 1 if channel is None else channel):
                return
        places = None
        if channel is not None:
            places = out.numel() // max(1, self.samples * out.shape[channel])
        node, call = self.places.number_at[key], self.graph.calls
        self.graph.joins.append(
            Join(name, self.seen - 1, call, operands, node, self.module, channel, places)
        )


def _own_name(name: str) -> str:
    """Without the wrapper that compiling puts around a module."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _written(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Iterable[Tensor]:
    """Tensors that an operation writes to."""
    for place, described in enumerate(func._schema.arguments):
        if described.alias_info is not None and described.alias_info.is_write:
            value = args[place] if place < len(args) else kwargs.get(described.name)
            if isinstance(value, Tensor):
                yield value
