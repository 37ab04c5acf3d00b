"""How far a cellular automaton can have carried news in one rollout, and what lay beyond.

A model counts as one where a layer runs several times before a backward pass and cells keep their
places. News travel at most the sum of its convolutions' radii. Cells further than that from any
that was not zero, and exactly as they were, cannot have been built, whatever the rule has learnt.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.watcher.collector import Collector, Watched

FEWEST_CALLS = 4
SAMPLES = 4  # of a batch
CONVOLUTIONS = ("torch.nn.functional.conv2d", "torch.conv2d")
FARTHER = tuple(  # what carries news across the whole canvas, or leaves the grid of cells
    f"torch.nn.functional.{name}"
    for name in ("interpolate", "conv_transpose2d", "adaptive_avg_pool2d", "unfold", "grid_sample")
)


class Horizons(Collector):
    """`horizon/<model>/beyond`: the share of the loss's gradient that falls on cells out of reach.

    The gradient on the last state is the error there, up to a factor, where the loss is a square.
    """

    functions = CONVOLUTIONS + FARTHER

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._noted: dict[str, int] = {}
        self._forget()

    def _forget(self) -> None:
        self._model = ""
        self._first: tuple[Tensor, int] | None = None  # what the first call got, and its version
        self._last: Tensor | None = None  # what the last call gave, with its graph
        self._calls: dict[str, int] = {}
        self._radius = 0
        self._unbounded = False

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if outermost and name != self._model and self._last is None:
            self._forget()
            first = next((a for a in args if isinstance(a, Tensor)), None)
            if first is not None and first.ndim == 4:
                self._model, self._first = name, (first.detach(), first._version)

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if self._first is None:
            return
        self._calls[name] = self._calls.get(name, 0) + 1
        if outermost and max(self._calls.values()) >= FEWEST_CALLS:
            self._last = _canvas(output, self._first[0])

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if self._first is None or not torch.is_grad_enabled():
            return
        if function != "conv2d":
            self._unbounded = True
            return
        weight = args[1] if len(args) > 1 else options.get("weight")
        stride = args[3] if len(args) > 3 else options.get("stride", 1)
        dilation = args[5] if len(args) > 5 else options.get("dilation", 1)
        self._unbounded |= _widest(stride) > 1
        self._radius += (max(weight.shape[-2:]) // 2) * _widest(dilation)

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        model, first, last, radius = self._model, self._first, self._last, self._radius
        bounded = radius > 0 and not self._unbounded
        self._forget()
        if first is None or last is None or not bounded or first[0]._version != first[1]:
            return
        self._note(model, radius, max(last.shape[-2:]))
        if not last._backward_hooks and not last.retains_grad:
            found = torch.autograd.grad(value, last, retain_graph=True, allow_unused=True)[0]
            if found is not None:
                share = beyond(first[0], last.detach(), found, radius)
                self.recorder.vector([share], lambda v: {f"horizon/{model}/beyond": v[0]})

    def _note(self, model: str, radius: int, canvas: int) -> None:
        if radius > self._noted.get(model, 0):  # rollouts of random length: the longest
            self._noted[model] = radius
            self.recorder.note({f"horizon/{model}": radius, f"canvas/{model}": canvas})


def beyond(first: Tensor, last: Tensor, gradient: Tensor, radius: int) -> Tensor:
    """Share of the gradient on cells beyond `radius` of any that was not zero, and unchanged."""
    first, last, gradient = (t[:SAMPLES].float() for t in (first, last, gradient))
    reach = (first != 0).any(dim=1, keepdim=True).float()
    width = 2 * min(radius, max(first.shape[-2:])) + 1
    for across in (0, 1):
        kernel = (width, 1) if across else (1, width)
        margins = (0, 0, width // 2, width // 2) if across else (width // 2, width // 2, 0, 0)
        reach = torch.max_pool2d(nn.functional.pad(reach, margins), kernel, 1)
    untouched = (first == last).all(dim=1, keepdim=True)
    size = gradient.abs().sum(dim=1, keepdim=True)
    return (size * untouched * (reach == 0)).sum() / size.sum().clamp_min(1e-30)


def _canvas(output: Any, first: Tensor) -> Tensor | None:
    """The state among a model's outputs: shaped as what it was given."""
    if isinstance(output, Mapping):
        output = tuple(output.values())
    found = output if isinstance(output, tuple | list) else (output,)
    states = [t for t in found if isinstance(t, Tensor) and t.shape == first.shape]
    return next((t for t in reversed(states) if t.requires_grad), None)


def _widest(value: Any) -> int:
    return int(max(value)) if isinstance(value, tuple | list) else int(value)
