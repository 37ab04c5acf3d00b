"""Validation losses nobody logged: loss functions called without gradient in evaluation mode."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.watcher.functions import Functions
from unstuck.watcher.recorder import Recorder

LOSSES = tuple(
    f"torch.nn.functional.{name}"
    for name in (
        "cross_entropy",
        "nll_loss",
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "kl_div",
    )
)


class Evaluation:
    """Sums loss values of a validation pass; the next training step closes the pass.

    The loss functions are listened to only while some module is in evaluation mode.
    """

    def __init__(
        self, recorder: Recorder, models: Callable[[], Iterable[nn.Module]], functions: Functions
    ) -> None:
        self._recorder = recorder
        self._functions = functions
        self._models = models
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._listening = False
        self._train = nn.Module.train

    def start(self) -> None:
        original = self._train
        evaluation = self

        @functools.wraps(original)
        def train(module: nn.Module, mode: bool = True) -> nn.Module:
            if not mode:
                evaluation._listen()
            return original(module, mode)

        nn.Module.train = train  # type: ignore[method-assign,assignment]

    def stop(self) -> None:
        nn.Module.train = self._train  # type: ignore[method-assign]
        self._stop()
        self.close_pass()

    def close_pass(self) -> None:
        """Record the mean over the samples seen since the last training step."""
        if not self._sums:
            return
        sums, self._sums = self._sums, {}
        names = [f"metric/val/{name}" for name in sums]
        means = [total / count for total, count in sums.values()]
        self._recorder.vector(means, lambda values: dict(zip(names, values, strict=True)))
        if all(model.training for model in self._models()):
            self._stop()

    def _listen(self) -> None:
        if not self._listening:
            self._listening = True
            self._functions.listen("evaluation", LOSSES, self._heard)

    def _stop(self) -> None:
        self._listening = False
        self._functions.stop("evaluation")

    def _heard(self, name: str, args: tuple[Any, ...], options: Any, value: Any) -> None:
        if not torch.is_grad_enabled():
            self._see(name.rsplit(".", 1)[-1], value, args)

    def _see(self, name: str, value: Any, args: tuple[Any, ...]) -> None:
        if not isinstance(value, Tensor) or value.numel() != 1:
            return
        if all(model.training for model in self._models()):
            return
        count = (
            int(args[0].shape[0]) if args and isinstance(args[0], Tensor) and args[0].ndim else 1
        )
        count = max(1, count)
        total, seen = self._sums.get(name, (torch.zeros_like(value.detach().float()), 0))
        self._sums[name] = (total + value.detach().float() * count, seen + count)
