"""The loss as the script made it, where a trainer calls `backward` on a multiple of it.

Under Lightning or Transformers the function that made the loss (`training_step`, `compute_loss`)
has returned when the backward pass begins, and the trainer has divided its result for gradient
accumulation and scaled it for mixed precision. While the function's frame is held, its variables
are: so on sampled steps, where calls of modules are heard of, the loss and its terms get their
names. On all steps the trainer's own factors are undone through the graph that holds them.
"""

from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from unstuck.watcher.naming import is_plumbing
from unstuck.words import LOSS, TOTAL, words_of

Node = Any  # torch.autograd.graph.Node: the binding has no public constructor to type against
Key = tuple[Node, int]  # a node of the graph and which of its outputs

MOST_CALLERS = 8  # functions that called a model for one backward pass
MOST_FACTORS = 6
_COPYING = ("ToCopyBackward", "CloneBackward", "AliasBackward", "ViewBackward", "SqueezeBackward")


class Callers:
    """The functions that called a model since the last backward pass, with their variables.

    They are let go before the backward pass runs, which is when memory is at its highest.
    """

    def __init__(self) -> None:
        self._frames: list[FrameType] = []
        self._factors: dict[str, int] = {}  # loss -> operations between it and what is backwarded

    def see(self, frame: FrameType | None) -> None:
        """A module is called below this frame: keep the function that called it."""
        while frame is not None and is_plumbing(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is None or frame.f_code.co_name == "forward":
            return
        if len(self._frames) < MOST_CALLERS and all(f is not frame for f in self._frames):
            self._frames.append(frame)

    def take(self) -> list[FrameType]:
        """The frames, the latest first; none is held any longer."""
        frames, self._frames = self._frames[::-1], []
        return frames

    def learn(
        self, name: str, root: Tensor, made: Mapping[Key, tuple[str, Tensor]]
    ) -> Tensor | None:
        """The loss that `root` is a multiple of, among what its makers have names for."""
        if not made:
            return None
        self._factors.pop(name, None)
        for count, (key, factor) in enumerate(_multiples(root)):
            called, tensor = made.get(key, ("", root))
            if called and (called == name or set(words_of(called)) & (LOSS | TOTAL)):
                if not _is_one(factor):
                    self._factors[name] = count
                return tensor
        return None

    def scales(self, name: str) -> bool:
        """Whether the trainer backwards a multiple of this loss."""
        return name in self._factors

    def unscaled(self, name: str, root: Tensor) -> Tensor | None:
        """The value of the loss that `root` is a multiple of, where that has been learned."""
        count = self._factors.get(name, 0)
        for at, (_, factor) in enumerate(_multiples(root) if count else ()):
            if at == count:
                return root.detach() / factor
        return None


callers = Callers()  # one run at a time is watched


def _multiples(root: Tensor) -> Iterator[tuple[Key, Tensor | float]]:
    """`root` and the scalars below it that it is a multiple of, each with root / scalar."""
    key: Key = (root.grad_fn, root.output_nr)
    factor: Tensor | float = 1.0
    for _ in range(MOST_FACTORS):
        yield key, factor
        node = key[0]
        below = [(n, i) for n, i in node.next_functions if n is not None]
        own = _factor(node)
        if len(below) != 1 or own is None or below[0][0].name().startswith("AccumulateGrad"):
            return
        key, factor = below[0], factor * own


def _factor(node: Node) -> Tensor | float | None:
    """What a node multiplies its only input with; None where it does something else."""
    kind = node.name()
    if kind.startswith(_COPYING):
        return 1.0
    if not kind.startswith(("DivBackward", "MulBackward")):
        return None
    other = getattr(node, "_saved_other", None)
    if not isinstance(other, Tensor) or other.numel() != 1:
        return None
    if other.device.type != "cpu":  # a scale of mixed precision: not to be waited for
        return other if kind.startswith("Mul") else other.reciprocal()
    number = float(other)
    if number <= 0:  # no scale: a sign or a term that was switched off
        return None
    return number if kind.startswith("Mul") else 1.0 / number


def _is_one(factor: Tensor | float) -> bool:
    return not isinstance(factor, torch.Tensor) and factor == 1.0
