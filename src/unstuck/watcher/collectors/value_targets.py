"""Predicted numbers against their targets: can these be reached, and are the shapes alike?"""

import math
from typing import Any

import torch
from torch import Tensor

from unstuck.watcher.call_sites import CallSites
from unstuck.watcher.collector import Collector
from unstuck.watcher.output_range import RANGES, made_by
from unstuck.watcher.statistics import SAMPLE

FUNCTIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
WITH_LOGITS = "binary_cross_entropy_with_logits"
MOST_CALLS = 32  # of one step
MOST_NODES = 24  # of a loss's graph that are walked to find a difference
_REDUCED = ("MeanBackward", "SumBackward", "AddBackward", "DivBackward", "MulBackward")
_POINTWISE = ("PowBackward", "AbsBackward", "SqrtBackward", "LogBackward", "MulBackward")


class ValueTargets(Collector):
    """What share of the targets no output can reach; predictions broadcast against targets."""

    functions = tuple(f"torch.nn.functional.{name}" for name in (*FUNCTIONS, WITH_LOGITS))

    def __init__(self, watched: Any) -> None:
        super().__init__(watched)
        self._sites = CallSites()
        self._noted: set[str] = set()
        self._ratios: dict[str, float] = {}  # since the last backward pass
        self._at = self._calls = 0

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if not (isinstance(result, Tensor) and result.requires_grad and torch.is_grad_enabled()):
            return
        given = args[0] if args else options.get("input")
        target = args[1] if len(args) > 1 else options.get("target")
        if not (isinstance(given, Tensor) and isinstance(target, Tensor) and given.numel()):
            return
        if target.requires_grad and not given.requires_grad:
            given, target = target, given  # a distance is the same either way round
        step = self.recorder.clock.step
        self._calls = self._calls + 1 if step == self._at else 0
        self._at = step
        site = self._sites.name(function) if self._calls <= MOST_CALLS else None
        if site is None or not target.numel():
            return
        if function != WITH_LOGITS and options.get("reduction", "mean") != "none":
            ratio = stretched(given.shape, target.shape)
            self._ratios[f"broadcast/{site}"] = ratio
            if ratio > 1:
                self._note(site, "shapes", f"{tuple(given.shape)} against {tuple(target.shape)}")
        if not target.requires_grad:
            self._reach(site, given, target.detach(), logits=function == WITH_LOGITS)

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        """A difference that is written out has no function to hear of: its graph is read."""
        shapes = written_difference(value)
        if shapes:
            self._note(loss, "shapes", f"{shapes[0]} in a difference of {shapes[1]}")
            ratio = math.prod(shapes[1]) / max(1, math.prod(shapes[0]))
            self._ratios[f"broadcast/{loss}"] = ratio
        if self._ratios:
            self.recorder.numbers(self._ratios)
            self._ratios = {}

    def _reach(self, site: str, given: Tensor, target: Tensor, *, logits: bool) -> None:
        made = made_by(given)
        if made is None or not target.is_floating_point():
            return
        low, high = RANGES[made]
        t = target.reshape(-1)[:: max(1, target.numel() // SAMPLE) | 1].float()
        if logits:  # a probability below one half needs a score below zero
            if low < 0 or made in ("sigmoid", "softmax", "hardsigmoid"):
                return  # the latter are no scores at all, which has a code of its own
            share = (0.5 - t).clamp_min(0).square().sum() / (t - 0.5).square().sum().clamp_min(1e-9)
        else:
            beyond = (low - t).clamp_min(0) + (t - high).clamp_min(0)
            share = beyond.square().sum() / (t - t.mean()).square().sum().clamp_min(1e-9)
        self._note(site, "made_by", made)
        self.hold([share.clamp_max(1e6)], [f"unreachable/{site}"])

    def _note(self, site: str, what: str, text: str) -> None:
        name = f"{'prediction' if what == 'made_by' else 'broadcast'}/{site}/{what}"
        if name not in self._noted:
            self._noted.add(name)
            self.recorder.note({name: text})


def stretched(one_shape: torch.Size, other: torch.Size) -> float:
    """Numbers after broadcasting over those of the larger side; 1 where one side has them all.

    >>> stretched(torch.Size([8, 1]), torch.Size([8]))
    8.0
    """
    if len(one_shape) == len(other):
        return 1.0  # shapes of as many dimensions that differ are broadcast on purpose
    try:
        whole = float(math.prod(torch.broadcast_shapes(one_shape, other)))
    except RuntimeError:
        return 1.0
    return whole / max(1, math.prod(one_shape), math.prod(other))


def written_difference(value: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Shapes of a prediction and of its difference to a target where that has become larger.

    Only a difference with something that has no gradient, (n, 1) grown to (n, n), behind a mean or
    a sum. A prediction that was unsqueezed on purpose, to be compared with every target, is none.
    """
    waiting: list[Any] = [value.grad_fn]
    for _ in range(MOST_NODES):
        if not waiting:
            break
        node = waiting.pop(0)
        if node is None:
            continue
        name = node.name()
        if name.startswith(("SubBackward", "RsubBackward")):
            shapes = _grown(node)
            if shapes:
                return shapes
        elif name.startswith((*_REDUCED, *_POINTWISE)):
            waiting += [n for n, _ in node.next_functions]
    return None


def _grown(node: Any) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    below = [(n, i) for n, i in node.next_functions if n is not None]
    if len(below) != 1:
        return None
    maker, output = below[0]
    if maker.name().startswith(("UnsqueezeBackward", "ViewBackward", "SliceBackward")):
        return None
    before = tuple(maker._input_metadata[output].shape)
    after = tuple(node._input_metadata[0].shape)
    one_number_each = len(before) == 2 and before[1] == 1 and after == (before[0],) * 2
    return (before, after) if one_number_each and before[0] > 1 else None
