"""How much of a hidden layer's sigmoid or tanh lies at its ends, where it has no slope.

Hidden is what another layer is fed. Outputs of a model are left out: a confident classifier and a
binary code are meant to be at their ends.
"""

from typing import Any

from torch import Tensor, nn

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.excerpt import excerpt

SAMPLE = 2048
# Within a hundredth of its range from an end, either function has 4 % of its steepest slope.
MIDDLE = {"SigmoidBackward0": 0.5, "TanhBackward0": 0.0}
END = {"SigmoidBackward0": 0.49, "TanhBackward0": 0.98}

Node = Any  # torch.autograd.graph.Node: the binding has no public constructor to type against


class Saturation(Collector):
    """Share of an activation's outputs at its ends: activation/<layer>/saturated_fraction."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._made_by: dict[Node, str] = {}  # in this forward pass

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if outermost:
            self._made_by = {}
        fed = args[0] if args else None
        if not isinstance(fed, Tensor) or fed.grad_fn is None:
            return
        kind = fed.grad_fn.name()
        if kind in END and next(module.parameters(recurse=False), None) is not None:
            layer = self._made_by.get(fed.grad_fn, name)
            off = (excerpt(fed, SAMPLE).float() - MIDDLE[kind]).abs()
            share = (off > END[kind]).float().mean()
            self.hold([share], [f"activation/{layer}/saturated_fraction"])

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        node = output.grad_fn if isinstance(output, Tensor) else None
        if node is not None and node.name() in END:
            self._made_by.setdefault(node, name)
        if outermost:
            self._made_by = {}
