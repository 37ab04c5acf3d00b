"""Which of torch's loss functions a loss calls, and what it would be if they were handed a guess.

A guess knows nothing of the input: all classes alike, or the mean of the targets.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

FEW = 8  # targets a channel: fewer have no mean of their own


@dataclass(frozen=True, slots=True)
class LossCall:
    """One call of a loss function; `prediction` is the argument that has a gradient."""

    name: str
    prediction: Tensor
    target: Tensor
    value: Tensor


class Hearing(TorchFunctionMode):
    """Notes every call of a loss function that compares a prediction with a target."""

    def __init__(self) -> None:
        self.calls: list[LossCall] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        pair = _pair(function, args, kwargs)
        if pair is not None and isinstance(result, Tensor):
            prediction, target, _ = pair
            self.calls.append(LossCall(function.__name__, prediction, target, result.detach()))
        return result


class Guessing(TorchFunctionMode):
    """Hands every such call a guess in place of its prediction; the rest of the loss stays."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        pair = _pair(function, args, kwargs)
        if pair is None:
            return function(*args, **kwargs)
        prediction, target, where = pair
        with torch.no_grad():
            guess = GUESSES[function.__name__](prediction.detach(), target.detach())
        if isinstance(where, str):
            return function(*args, **(kwargs | {where: guess}))
        return function(*args[:where], guess, *args[where + 1 :], **kwargs)


def guess_at(prediction: Tensor, target: Tensor) -> Tensor:
    """The mean of the targets, a channel's own where there are enough of it, as a prediction."""
    target = target.to(prediction.dtype)
    if target.shape == prediction.shape and target.ndim > 1:
        dims = [d for d in range(target.ndim) if d != 1]
        if target.numel() // max(target.shape[1], 1) >= FEW:
            return target.mean(dims, keepdim=True).expand_as(prediction).clone()
    return torch.full_like(prediction, 1.0) * target.mean()


def _middle(prediction: Tensor, target: Tensor) -> Tensor:
    """The median of the targets, which the mean distance asks for."""
    return torch.full_like(prediction, float(target.float().median()))


def _even(prediction: Tensor, target: Tensor) -> Tensor:
    classes = prediction.shape[1] if prediction.ndim > 1 else prediction.shape[0]
    return torch.full_like(prediction, -math.log(classes))


GUESSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": lambda prediction, target: torch.zeros_like(prediction),
    "nll_loss": _even,
    "binary_cross_entropy_with_logits": lambda prediction, target: torch.zeros_like(prediction),
    "binary_cross_entropy": lambda prediction, target: torch.full_like(prediction, 0.5),
    "mse_loss": guess_at,
    "l1_loss": _middle,
    "smooth_l1_loss": _middle,
    "huber_loss": _middle,
}
SYMMETRIC = frozenset({"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"})


def _pair(function: Any, args: Any, kwargs: Any) -> tuple[Tensor, Tensor, int | str] | None:
    """The prediction, the target and where the prediction stands; None for any other call."""
    name = getattr(function, "__name__", "")
    if name not in GUESSES or "torch._C" in str(getattr(function, "__module__", "")):
        return None
    given: list[tuple[int | str, Any]] = list(enumerate(args[:2]))
    given += [(k, kwargs[k]) for k in ("input", "target") if k in kwargs]
    if len(given) != 2 or not all(isinstance(v, Tensor) for _, v in given):
        return None
    (first, one), (second, other) = given
    if one.requires_grad and not other.requires_grad and one.is_floating_point():
        return one, other, first
    if name in SYMMETRIC and other.requires_grad and not one.requires_grad:
        return other, one, second
    return None
