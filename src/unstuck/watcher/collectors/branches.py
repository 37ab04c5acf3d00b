"""What each branch adds to a sum: residual branches, and branches side by side.

A sum is found in the graph of a tensor that a layer is fed or puts out; its parts are found among
the outputs of layers. What a part adds is its own spread or, where something stands between the
layer and the sum (a gate, a scale), the spread of what is left without the other parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.excerpt import excerpt

Node = Any  # torch.autograd.graph.Node: the binding has no public constructor to type against

SAMPLE = 1024  # numbers of each output
MOST_PARTS = 4  # of a sum; a longer one is not a matter of branches
MOST_BRANCHES = 64
FAR = 6  # nodes between a layer's output and the sum
ADDING = "AddBackward"
PASSING = (  # one tensor in, one of the same shape out
    "MulBackward",
    "DivBackward",
    "NegBackward",
    "NativeDropoutBackward",
    "ToCopyBackward",
    "CloneBackward",
)
OUTSIDE = ("ReluBackward", "LeakyReluBackward", "GeluBackward", "SiluBackward")


@dataclass(frozen=True, slots=True)
class Part:
    """An addend: the layer it comes from ("" where none is known), and whether as it came out."""

    name: str
    untouched: bool


class Branches(Collector):
    """Spread of what a branch adds over that of the sum: contribution/<model>.<layer>."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._layers: dict[Node, tuple[str, tuple[int, ...]]] = {}  # output's node -> whose, shape
        self._passed_on: set[str] = set()  # layers whose output another layer was fed: a trunk
        self._sums: dict[Node, None] = {}
        self._wanted: set[str] = set()  # layers known to end in a sum
        self._read: dict[str, Tensor] = {}

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if outermost:
            self._layers, self._sums, self._read, self._passed_on = {}, {}, {}, set()
        if self._looks():
            for fed in args[:3]:
                if isinstance(fed, Tensor) and fed.grad_fn is not None:
                    if fed.grad_fn in self._layers:
                        self._passed_on.add(self._layers[fed.grad_fn][0])
                    else:
                        self._add_up(fed, fed.grad_fn)

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if self._looks() and isinstance(output, Tensor) and output.grad_fn is not None:
            node = output.grad_fn
            self._add_up(output, node)
            self._layers[node] = (name, tuple(output.shape))  # the outermost that passes it on
            if name in self._wanted:
                self._read.setdefault(name, _some(output))
        if outermost:
            self._layers, self._sums, self._read = {}, {}, {}

    def _looks(self) -> bool:
        """Whether the running step or the next is one of the rare ones; a forward pass is early."""
        schedule = self.recorder.schedule
        return schedule.terms or schedule.coming(self.recorder.clock.step + 1)[1]

    def _add_up(self, total: Tensor, node: Node) -> None:
        """Record the parts of a sum, if `total` is one or an activation of one."""
        seen = not node.name().startswith(OUTSIDE)
        node = node if seen else node.next_functions[0][0]
        if node is None or node in self._sums or node in self._layers or not _adds(node):
            return
        self._sums[node] = None
        parts = self._parts(node, tuple(total.shape))
        if not 2 <= len(parts) <= MOST_PARTS:
            return
        branches = [p for p in parts if p.name and p.name not in self._passed_on]
        if len(self._wanted) < MOST_BRANCHES:
            self._wanted |= {p.name for p in parts if p.name}
        spread = None
        for part in branches:
            added = self._added(part, parts, total if seen else None)
            if added is not None:
                spread = _some(total).std() if spread is None else spread
                ratio = added.std() / spread.clamp_min(1e-30)
                self.hold([ratio], [f"contribution/{part.name}"])

    def _added(self, part: Part, parts: Sequence[Part], total: Tensor | None) -> Tensor | None:
        """Some numbers of what a part adds; None where they are not known."""
        if part.untouched:
            return self._read.get(part.name)
        others = [p for p in parts if p is not part]
        if total is None or not all(p.untouched and p.name in self._read for p in others):
            return None
        left = _some(total)
        for other in others:
            left -= self._read[other.name]
        return left

    def _parts(self, node: Node, shape: tuple[int, ...]) -> list[Part]:
        """The addends of a sum, those of sums inside it included."""
        found: list[Part] = []
        for below, _ in node.next_functions:
            if below is not None and below not in self._layers and _adds(below):
                found += self._parts(below, shape) if len(found) < MOST_PARTS else []
            else:
                found.append(self._origin(below, shape))
        return found

    def _origin(self, node: Node | None, shape: tuple[int, ...]) -> Part:
        untouched = True
        for _ in range(FAR):
            if node is None or node in self._layers:
                break
            if not node.name().startswith(PASSING):
                return Part("", untouched=False)
            untouched = False
            below = [n for n, _ in node.next_functions if n is not None]
            known = [n for n in below if n in self._layers or n.name().startswith(PASSING)]
            node = (known or below)[0] if below else None
        name, had = self._layers.get(node, ("", shape))
        return Part(name, untouched) if had == shape else Part("", untouched=False)


def _some(tensor: Tensor) -> Tensor:
    return excerpt(tensor, SAMPLE).to(torch.float32, copy=True)


def _adds(node: Node) -> bool:
    return bool(node.name().startswith(ADDING))
