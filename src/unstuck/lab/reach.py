"""Which parameters a loss reaches, and from which part of a model into which it passes.

Told by the graph of the loss, not by the size of gradients: a branch that begins with zeros is
reached, although its first gradient is zero.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from unstuck.lab.batch import tensors

MOST_PARTS = 24  # of a model that are told apart
Joint = tuple[str, str]  # the part that gives, the part that takes


@dataclass(slots=True)
class Reached:
    """`parameters`: ids of those a loss depends on; `joints`: from part to part, on its way."""

    parameters: set[int] = field(default_factory=set)
    joints: set[Joint] = field(default_factory=set)

    def add(self, other: "Reached") -> None:
        self.parameters |= other.parameters
        self.joints |= other.joints


def parts_of(model: nn.Module) -> dict[str, nn.Module]:
    """The modules a model branches into: its children, or those of its only one."""
    prefix = ""
    while True:
        children = {n: m for n, m in model.named_children() if any(True for _ in m.parameters())}
        own = any(True for _ in model.parameters(recurse=False))
        if len(children) != 1 or own:
            break
        ((name, only),) = children.items()
        if not any(True for _ in only.children()):
            break
        prefix, model = f"{prefix}{name}.", only
    found: dict[str, nn.Module] = {}
    for name, module in children.items():
        listed = isinstance(module, nn.ModuleDict | nn.ModuleList)  # never called themselves
        inside = dict(module.named_children()) if listed else {}
        found |= {f"{prefix}{name}.{n}": m for n, m in inside.items()} or {prefix + name: module}
    return dict(list(found.items())[:MOST_PARTS])


@contextlib.contextmanager
def outputs_of(parts: Mapping[str, nn.Module]) -> Iterator[dict[Any, str]]:
    """While it lasts, notes what the parts put out: node of the graph -> name of the part."""
    found: dict[Any, str] = {}

    def noting(name: str) -> Any:
        def note(module: nn.Module, args: Any, output: Any) -> None:
            for tensor in tensors(output):
                if tensor.grad_fn is not None:
                    found[tensor.grad_fn] = name

        return note

    handles = [module.register_forward_hook(noting(name)) for name, module in parts.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def reached_by(loss: Tensor, outputs: Mapping[Any, str] | None = None) -> Reached:
    """What a loss depends on, by walking its graph back to the parameters."""
    outputs = outputs or {}
    reached = Reached()
    waiting: list[tuple[Any, str]] = [(loss.grad_fn, "")]
    seen = set(waiting)
    while waiting:
        node, taker = waiting.pop()
        if node is None:
            continue
        giver = outputs.get(node)
        if giver is not None and giver != taker:
            if taker:
                reached.joints.add((giver, taker))
            taker = giver
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            reached.parameters.add(id(variable))
        for following, _ in node.next_functions:
            step = (following, taker)
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return reached


def upstream(joints: set[Joint]) -> set[Joint]:
    """All pairs (a, b) with a way from a to b over these joints."""
    found = set(joints)
    while True:
        further = {(a, d) for a, b in found for c, d in joints if b == c} - found
        if not further:
            return found
        found |= further
