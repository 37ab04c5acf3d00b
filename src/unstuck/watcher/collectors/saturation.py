"""How much of a hidden layer's sigmoid or tanh lies at its ends, where it has no slope.

Outputs of a model are left out: a confident classifier and a binary code are meant to be there.
"""

from typing import Any

from torch import Tensor, nn

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.excerpt import excerpt

SAMPLE = 2048
MOST = 200  # layers in one forward pass
# Within a hundredth of its range from an end, either function has 4 % of its steepest slope.
MIDDLE = {"sigmoid": 0.5, "tanh": 0.0}
END = {"sigmoid": 0.49, "tanh": 0.98}


class Saturation(Collector):
    """Share of an activation's outputs at its ends: activation/<layer>/saturated_fraction."""

    functions = (
        "torch.sigmoid",
        "torch.tanh",
        "torch.Tensor.sigmoid",
        "torch.Tensor.tanh",
    )

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._running: list[str] = []
        self._waiting: dict[str, Tensor] = {}  # not known yet whether anything follows

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if outermost:
            self._running, self._waiting = [], {}
        self._running.append(name)
        if self._waiting and next(module.parameters(recurse=False), None) is not None:
            self.hold(list(self._waiting.values()), list(self._waiting))
            self._waiting = {}

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if name in self._running:
            del self._running[self._running.index(name) :]

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if not self._running or not isinstance(result, Tensor) or not result.requires_grad:
            return
        name = f"activation/{self._running[-1]}/saturated_fraction"
        if result.ndim > 1 and len(self._waiting) < MOST and name not in self._waiting:
            off = (excerpt(result, SAMPLE).float() - MIDDLE[function]).abs()
            self._waiting[name] = (off > END[function]).float().mean()
