"""What a training step computes, operation by operation, so that two runs of it can be compared.

Each operation is kept as its name, the layer it ran in and a digest of what went in and came out;
no tensor is kept. Memory that nobody has written yet is filled, so that a step that reads it shows.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import _C, Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unstuck.lab.operations_layers import OUTSIDE, layers_followed

EMPTY = frozenset(
    {"empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"}
)
DRAWS = ("rand", "normal", "uniform", "bernoulli", "dropout", "multinomial", "exponential",
         "poisson", "cauchy", "geometric", "random", "binomial", "gamma", "dirichlet")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: `given` and `gave` are digests, `forward` tells which way it ran."""

    name: str
    layer: str
    forward: bool
    given: str
    gave: str

    @property
    def draws(self) -> bool:
        """Whether it takes random numbers out of a generator."""
        return any(word in self.name for word in DRAWS)


class Recorder(TorchDispatchMode):
    """Keeps every operation on tensors; entered by `following()`.

    `fill`: a number written into memory that comes uninitialised, which nothing correct can tell;
    `keeps`: False where only the filling is wanted.
    """

    def __init__(
        self, model: nn.Module, name: str, fill: int | None = None, *, keeps: bool = True
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fill, self.keeps = fill, keeps
        self.operations: list[Operation] = []
        self.forward = True
        self.layers: list[str] = []
        self.model, self.name = model, name
        self.made_in: dict[int, str] = {}  # number of a node of the graph -> its layer

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = digest((args, kwargs)) if self.keeps else ""
        layer = self._layer()
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in EMPTY and self.fill is not None and isinstance(out, Tensor):
            with contextlib.suppress(RuntimeError, NotImplementedError):
                out.fill_(self.fill)
        if self.keeps:
            gave = "" if name in EMPTY or _only_looks(func) else digest(out)
            self.operations.append(Operation(name, layer, self.forward, given, gave))
        return out

    def _layer(self) -> str:
        """The layer that runs, or in the backward pass the one whose gradient it is."""
        layer = self.layers[-1] if self.layers else OUTSIDE
        if self.forward:
            self.made_in.setdefault(_C._autograd._get_sequence_nr() - 1, layer)
        elif not self.layers:
            node = _C._current_autograd_node()
            return self.made_in.get(node._sequence_nr(), OUTSIDE) if node is not None else layer
        return layer

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Record, and know which layer runs."""
        with layers_followed(self.model, self.name, self.layers), self:
            yield


def digest(tree: Any) -> str:
    """A short text that is the same for the same numbers, bit by bit."""
    found = hashlib.blake2b(digest_size=8)
    for leaf in tree_leaves(tree):
        if isinstance(leaf, Tensor):
            found.update(repr((leaf.dtype, tuple(leaf.shape))).encode())
            found.update(_bits(leaf))
        elif isinstance(leaf, bool | int | float | complex | str | None):
            found.update(repr(leaf).encode())
        elif isinstance(leaf, torch.Generator):
            found.update(_bits(leaf.get_state()))
    return found.hexdigest()


def _bits(tensor: Tensor) -> Any:
    with contextlib.suppress(RuntimeError, NotImplementedError, TypeError):
        whole = (
            tensor.detach().to_dense() if tensor.layout is not torch.strided else tensor.detach()
        )
        plain = whole.resolve_conj().resolve_neg().contiguous().cpu()
        return plain.reshape(-1).view(torch.uint8).numpy().data
    return b""


def _only_looks(func: Any) -> bool:
    """Whether an operation gives a view of what it got, and computes nothing."""
    ways = [result.alias_info for result in func._schema.returns]
    return any(way is not None and not way.is_write for way in ways)


def first_difference(
    one: list[Operation], other: list[Operation], *, outputs: bool = False
) -> tuple[Operation, Operation] | None:
    """The first pair of operations that are not the same (`outputs`: that give not the same)."""
    for a, b in zip(one, other, strict=False):
        if ((a.name, a.gave) != (b.name, b.gave)) if outputs else (a != b):
            return a, b
    return None
