"""Validation passes: the losses nobody logged, and whether the model was in evaluation mode."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from unstuck.lab.untouched import under_way
from unstuck.watcher.functions import Functions
from unstuck.watcher.mode_dependent import with_owners
from unstuck.watcher.recorder import Recorder
from unstuck.watcher.without_gradient import WithoutGradient

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
JUDGING = (*LOSSES, "torch.argmax", "torch.max", "torch.Tensor.argmax", "torch.Tensor.max")
MOST_CALLS = 64  # of modules, until one is met that its mode matters to


class Evaluation:
    """Sums loss values of a validation pass; the next training step closes the pass.

    The loss functions are listened to only while some module is in evaluation mode, or while the
    user's code runs one without gradients.
    """

    def __init__(
        self,
        recorder: Recorder,
        models: Callable[[], Iterable[nn.Module]],
        functions: Functions,
        compiled: Callable[[], bool],
    ) -> None:
        self._recorder = recorder
        self._functions = functions
        self._models = models
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._listening = False
        self._train = nn.Module.train
        self._looks = Looks(recorder, models, functions, compiled)

    def start(self) -> None:
        self._looks.start()
        original = self._train
        evaluation = self

        @functools.wraps(original)
        def train(module: nn.Module, mode: bool = True) -> nn.Module:
            if not mode and not under_way():
                evaluation._listen()
            return original(module, mode)

        nn.Module.train = train  # type: ignore[method-assign,assignment]

    def stop(self) -> None:
        nn.Module.train = self._train  # type: ignore[method-assign]
        self._stop()
        self.close_pass()
        self._looks.stop()

    def close_pass(self) -> None:
        """Record the mean over the samples seen since the last training step."""
        self._looks.close_pass()
        if not self._sums:
            return
        sums, self._sums = self._sums, {}
        self._recorder.validated()
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
            self._see(name.rsplit(".", 1)[-1], value, args, options)

    def _see(self, name: str, value: Any, args: tuple[Any, ...], options: Any) -> None:
        if not isinstance(value, Tensor) or value.numel() != 1:
            return
        if all(model.training for model in self._models()):
            return
        count = (
            int(args[0].shape[0]) if args and isinstance(args[0], Tensor) and args[0].ndim else 1
        )
        count = max(1, count)
        total, seen = self._sums.get(name, (torch.zeros_like(value.detach().float()), 0))
        times = 1 if options.get("reduction") == "sum" else count
        self._sums[name] = (total + value.detach().float() * times, seen + count)


class Looks:
    """The modes of models that the user's code runs without gradients and judges the output of."""

    def __init__(
        self,
        recorder: Recorder,
        models: Callable[[], Iterable[nn.Module]],
        functions: Functions,
        compiled: Callable[[], bool],
    ) -> None:
        self._recorder = recorder
        self._models = models
        self._compiled = compiled  # hooks would break a compiled model's graph: there are none
        self._functions = functions
        self._stretches = WithoutGradient(lambda: recorder.clock.step, self._began, self._ended)
        self._hook: Any = None
        self._calls = 0
        self._training: bool | None = None  # of the stretch that runs
        self._judged = False
        self._single = False  # one sample: an agent acts, a word is drawn
        self._listening = False
        self._seen: list[bool] = []  # since the last training step: was it in training mode?

    def start(self) -> None:
        self._stretches.start()

    def stop(self) -> None:
        self._stretches.stop()
        self._ended()
        self.close_pass()

    def close_pass(self) -> None:
        """Record the share of the looks since the last training step."""
        if self._listening:
            self._listening = False
            self._functions.stop("looks")
        if self._seen:
            share = sum(self._seen) / len(self._seen)
            self._seen = []
            self._recorder.numbers({"mode/validation/training": share})

    def _began(self) -> None:
        self._training, self._judged, self._calls = None, False, 0
        if not self._compiled():
            self._hook = hooks.register_module_forward_pre_hook(self._called)
            if not self._listening:  # already now: `loss(model(x))` looks the loss up first
                self._listening = True
                self._functions.listen("looks", JUDGING, self._heard)

    def _ended(self) -> None:
        self._unhook()
        if self._training is not None and (self._judged or not self._training):
            self._seen.append(self._training)
        self._training = None

    def _unhook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _called(self, module: nn.Module, args: Any) -> None:
        """The first call of a known model to which its mode matters tells the mode of this look."""
        try:
            self._look_at(module, args)
        except Exception:  # a module that cannot be looked into is none of ours to complain of
            self._unhook()

    def _look_at(self, module: nn.Module, args: Any) -> None:
        self._calls += 1
        parts = [part for part, _ in with_owners(module)]
        if parts and any(m is module for known in self._models() for m in known.modules()):
            self._training = all(part.training for part in parts)
            first = args[0] if args else None
            self._single = isinstance(first, Tensor) and (first.ndim < 2 or first.shape[0] == 1)
        if parts or self._calls >= MOST_CALLS:
            self._unhook()

    def _heard(self, name: str, args: tuple[Any, ...], options: Any, value: Any) -> None:
        whole = isinstance(value, Tensor) and value.numel() == 1  # single losses choose samples
        if self._training and (whole if name in LOSSES else not self._single):
            self._judged = True
