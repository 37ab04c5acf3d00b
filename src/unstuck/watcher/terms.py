"""Loss terms found by themselves: named scalars of the caller's frame in the loss's graph.

A loss is usually a weighted sum of named scalars (`adv * 0.25 + l1 * 100`). Walking its graph
through scalar arithmetic only reaches the nodes that made these scalars; a few nodes, however
deep the networks are. The weight of a term is the derivative of the loss with respect to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from unstuck.watcher.callers import Key, Node, callers
from unstuck.watcher.naming import clean, is_library

MOST_NODES = 200  # of scalar arithmetic; a sum over a longer list is recorded without terms
MOST_NAMES = 400  # scalars looked at in one frame
MOST_TERMS = 24
MOST_HELD = 64  # entries of a container that is looked into
# Elementwise operations and copies: scalar in, scalar out. Stack and Cat join scalars to be summed.
_ARITHMETIC = (
    "AddBackward",
    "SubBackward",
    "RsubBackward",
    "MulBackward",
    "DivBackward",
    "NegBackward",
    "ToCopyBackward",
    "CloneBackward",
    "AliasBackward",
    "SqueezeBackward",
    "UnsqueezeBackward",
    "ViewBackward",
    "ReshapeAliasBackward",
)
_JOINING = ("StackBackward", "CatBackward")
_REDUCING = ("SumBackward", "MeanBackward")


class Scalars(dict[Key, tuple[str, Tensor]]):
    """Named scalars. Where a trainer's code calls backward, what it calls a loss may be a multiple
    of the script's; `made` are those of the functions that called a model, where these are known.
    """

    by_trainer: bool = False
    made: Mapping[Key, tuple[str, Tensor]] = {}


@dataclass(frozen=True, slots=True)
class Terms:
    """A loss and what it is made of: `weights[name]` is d(loss)/d(term), a scalar tensor."""

    loss: Tensor
    terms: dict[str, Tensor]
    weights: dict[str, Tensor]


def named_scalars(frame: FrameType) -> Scalars:
    """Scalars with a graph among the frame's locals and the attributes of its `self`.

    Entries of dicts, lists and tuples count too. Where a tensor has several names the most
    telling one is kept: locals before attributes, these before keys, these before indices.
    In a trainer's own backward call, those of the functions that called the model come first.
    """
    makers = callers.take()
    if not is_library(frame.f_code.co_filename):
        return Scalars(_scalars_of(frame))
    made: dict[Key, tuple[str, Tensor]] = {}
    for maker in makers:
        made = _scalars_of(maker) | made
    found = Scalars(_scalars_of(frame) | made)
    found.by_trainer, found.made = True, made
    return found


def _scalars_of(frame: FrameType) -> dict[Key, tuple[str, Tensor]]:
    local = frame.f_locals
    scopes = [local, getattr(local.get("self"), "__dict__", {})]
    found: dict[Key, tuple[str, Tensor]] = {}
    for kind in (_direct, _keyed, _indexed):
        for scope in scopes:
            for name, tensor in kind(scope):
                if len(found) >= MOST_NAMES:
                    return found
                if isinstance(tensor, Tensor) and _is_scalar(tensor):
                    found.setdefault(_key(tensor), (clean(name), tensor))
    return found


def _direct(scope: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from list(scope.items())


def _keyed(scope: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for held in list(scope.values()):
        if isinstance(held, dict) and len(held) <= MOST_HELD:
            yield from ((str(key), value) for key, value in list(held.items()))


def _indexed(scope: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, held in list(scope.items()):
        if type(held) in (list, tuple) and len(held) <= MOST_HELD:
            yield from ((f"{name}.{i}", value) for i, value in enumerate(held))


def _is_scalar(value: Tensor) -> bool:
    return value.requires_grad and value.grad_fn is not None and value.numel() == 1


def discover(root: Tensor, name: str | None, scalars: Mapping[Key, tuple[str, Tensor]]) -> Terms:
    """The loss `root` was made from and its terms, without touching any gradient.

    `root` may be the loss scaled (AMP) or divided (accumulation): where the scalar called `name`
    is met before the sum branches, that one is the loss and weights are relative to it.
    """
    loss = _unscaled(root, name, scalars)
    made = loss
    if isinstance(scalars, Scalars) and scalars.by_trainer and name:
        if not scalars.made and (value := callers.unscaled(name, root)) is not None:
            return Terms(value, {}, {})
        if (known := callers.learn(name, root, scalars.made)) is not None:
            made = known
            loss = made if callers.scales(name) else root
    found, _ = _finest(_key(made), scalars, _key(made), [MOST_NODES])
    terms = dict(list(found.items())[:MOST_TERMS])
    if len(terms) == 1 and _key(next(iter(terms.values()))) == _key(made):
        terms = {}
    hooked = any(t._backward_hooks for t in (loss, *terms.values()))  # FSDP gathers in its hooks
    if not terms or hooked or loss.grad_fn is None:
        return Terms(loss, {}, {})
    weights = derivatives(loss, list(terms.values()))
    return Terms(loss, terms, dict(zip(terms, weights, strict=True)))


def derivatives(loss: Tensor, terms: Sequence[Tensor]) -> list[Tensor]:
    """d(loss)/d(term) for scalar terms, at the cost of the few nodes between them."""
    found = torch.autograd.grad(loss, list(terms), retain_graph=True, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(terms, found, strict=True)]


def _key(tensor: Tensor) -> Key:
    return tensor.grad_fn, tensor.output_nr


def _children(node: Node) -> list[Key]:
    """The scalars a scalar is made of, or none where they are no scalars any more."""
    kind = node.name()
    next_keys = [(n, i) for n, i in node.next_functions if n is not None]
    if kind.startswith(_ARITHMETIC):
        return next_keys
    if kind.startswith(_REDUCING) and len(next_keys) == 1:
        joined = next_keys[0][0]
        if joined.name().startswith(_JOINING):
            return [
                k
                for k in ((n, i) for n, i in joined.next_functions if n is not None)
                if not k[0].name().startswith("AccumulateGrad")
            ]
    return []


def _unscaled(root: Tensor, name: str | None, scalars: Mapping[Key, tuple[str, Tensor]]) -> Tensor:
    key, best = _key(root), root
    for _ in range(8):
        if key[0] is None:
            break
        if key in scalars and name is not None and scalars[key][0] == name:
            best = scalars[key][1]
            break
        below = _children(key[0])
        if len(below) != 1:
            break
        key = below[0]
    return best


def _finest(
    key: Key, scalars: Mapping[Key, tuple[str, Tensor]], root: Key, budget: list[int]
) -> tuple[dict[str, Tensor], bool]:
    """The finest named scalars below a node, and whether they account for all of it."""
    budget[0] -= 1
    node = key[0]
    below = _children(node) if node is not None and budget[0] > 0 else []
    found: dict[str, Tensor] = {}
    complete = bool(below)
    for child in below:
        inner, whole = _finest(child, scalars, root, budget)
        complete &= whole
        for name, tensor in inner.items():
            found.setdefault(name, tensor)
    if key != root and key in scalars and not complete:
        name, tensor = scalars[key]
        return {name: tensor}, True
    return found, complete
