"""The watcher: hooks into torch while it is attached, and nothing of it is left afterwards.

Whatever goes wrong in here, training goes on: the watcher warns once and detaches itself.
"""

import atexit
import contextlib
import functools
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from unstuck.changes import parsed
from unstuck.lab.untouched import under_way
from unstuck.records import Scalar
from unstuck.vocabulary import metric_name
from unstuck.watcher import process
from unstuck.watcher.budget import Budget
from unstuck.watcher.collector import Watched
from unstuck.watcher.evaluation import Evaluation
from unstuck.watcher.functions import Functions
from unstuck.watcher.intervention import Interventions
from unstuck.watcher.losses import Losses
from unstuck.watcher.modules import Modules
from unstuck.watcher.naming import is_library, speaking_frame
from unstuck.watcher.optimizers import Optimizers
from unstuck.watcher.probing import SECONDS, Probing
from unstuck.watcher.recorder import Recorder
from unstuck.watcher.scalers import Scalers
from unstuck.watcher.store import Store
from unstuck.watcher.told import Told


class Watcher(Told):
    """A run being recorded. Use as a context manager, or call `close()` when done.

    `path` is the run directory; `unstuck.load(path)` gives the Run, also while it is written.
    """

    def __init__(
        self,
        directory: Path,
        *,
        name: str,
        recipe: Mapping[str, Scalar],
        models: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
        latents: tuple[str, ...],
        changes: Mapping[str, Scalar],
        everything: bool = False,
        budget: float | None = None,
        probe: tuple[int, ...] = (),
        probe_seconds: float = SECONDS,
    ) -> None:
        wanted, allowed = parsed(changes), None if budget is None else Budget(budget)
        self.path = directory
        self._store = Store(directory, name=name, recipe=recipe)
        self._recorder = Recorder(self._store, allowed)
        self._schedule = self._recorder.schedule
        self._interventions = Interventions(wanted, self._recorder.note)
        self._functions = Functions(self._mine)
        self._interventions.guard(self._mine, self._own, self._functions)
        self._watched = Watched(self._recorder, self._interventions, everything=everything)
        given, ours = bool(models), self._if_mine
        self._modules = Modules(self._recorder, self._watched, latents, given=given, ours=ours)
        self._optimizers = Optimizers(
            self._recorder, self._watched, self._modules, optimizers, self._listen
        )
        self._watched.modules, self._watched.optimizers = self._modules, self._optimizers
        self._losses = Losses(self._recorder, self._watched, self._modules, self._optimizers)
        self._scalers = Scalers(self._recorder, self._optimizers.left_out, self._if_mine)
        self._evaluation = Evaluation(
            self._recorder,
            self._modules.models.values,
            self._functions,
            lambda: self._modules.compiled,
        )
        self._probing = Probing(probe, self._recorder, self._modules, self._mine, probe_seconds)
        self._process, self._thread = process.number(), threading.get_ident()
        self._handles: list[Any] = []
        self._backward, self._compile = Tensor.backward, torch.compile
        self._on_gpu = torch.cuda.is_available()
        self.joinable = False  # a script that watches itself under `unstuck run` joins that run
        self.add(models)
        self._recorder.note(process.environment())

    @property
    def attached(self) -> bool:
        """Whether it is watching now."""
        return bool(self._handles)

    def add(self, models: Mapping[str, nn.Module]) -> None:
        """Watch further models, under these names."""
        for name, model in models.items():
            self._modules.add(name, model)

    def log(self, **metrics: float) -> None:
        """Record metrics at the running step; `val_...` are of the validation split."""
        numbers = {metric_name(key): float(value) for key, value in metrics.items()}
        self._recorder.numbers(numbers)

    def note(self, facts: Mapping[str, Scalar]) -> None:
        """Record what is known once."""
        self._recorder.note(facts)

    def leave_out(self, seconds: float) -> None:
        """An experiment took so long: no time of the steps' own."""
        self._recorder.leave_out(seconds)

    def attach(self) -> None:
        """Begin to watch: backward passes, optimizer steps, module calls."""
        self._handles = [
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]
        Tensor.backward = self._watching_backward()  # type: ignore[method-assign]
        torch.compile = self._watching_compile()
        self._losses.tensor_hooks.start()
        self._scalers.start()
        self._evaluation.start()
        self._listen(True)
        self._probing.start()
        self._interventions.start()
        atexit.register(self.close)

    def close(self) -> None:
        """Stop watching, write everything, close the file. Safe to call twice."""
        if process.number() == self._process:
            atexit.unregister(self.close)
            if self._handles:
                self._own(self._end)
            self._store.close()

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is not None:
            self.note({"exit/exception": f"{kind.__name__}: {error}"[:1000]})
        self.close()

    def _end(self) -> None:
        self._detach()
        self._watched.close()
        self._recorder.flush()

    def _detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._interventions.stop()
        self._probing.stop()
        Tensor.backward = self._backward  # type: ignore[method-assign]
        torch.compile = self._compile
        self._losses.tensor_hooks.stop()
        self._scalers.stop()
        self._listen(False)
        self._evaluation.stop()

    def _listen(self, on: bool) -> None:
        """Hear of forward passes and of functions, or no more; steps in between cost nothing."""
        if not on and not self._modules.listening:
            return
        self._modules.listen(on)
        if self._modules.listening:
            self._functions.listen("collectors", self._watched.functions, self._called)
        else:
            self._functions.stop("collectors")

    def _called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if not self._modules.busy:
            self._watched.called(function, args, options, result)

    def _mine(self) -> bool:
        """Whether this is the process and the thread that is watched, and not a recording of a
        CUDA graph, into which nothing of ours may get, and not an experiment of ours."""
        here = threading.get_ident() == self._thread and process.number() == self._process
        recording = self._on_gpu and torch.cuda.is_current_stream_capturing()
        return here and not recording and not under_way()

    def _if_mine(self, call: Callable[..., Any], *args: Any) -> None:
        if self._mine():
            self._own(call, *args)

    def _own(self, call: Callable[..., Any], *args: Any) -> Any:
        """Do something of ours: its cost counts on sampled steps and the ones after them, and a
        failure ends the watching. None where it failed."""
        counted = self._schedule.counted or self._modules.listening
        began = time.thread_time() if counted else 0.0
        try:
            return call(*args)
        except Exception as error:  # whatever it is, training must not see it
            self._give_up(error)
            return None
        finally:
            if counted:
                self._schedule.spend(time.thread_time() - began)

    def _give_up(self, error: Exception) -> None:
        with contextlib.suppress(Exception):
            self._detach()
        text = f"{type(error).__name__}: {error}"[:500]
        self.note({"exit/watcher": text})
        self._store.complain(f"stopped watching ({text})")

    def _watching_backward(self) -> Any:
        original: Any = self._backward

        @functools.wraps(original)
        def backward(tensor: Tensor, *args: Any, **options: Any) -> Any:
            root, loss = tensor, ""
            if self._mine() and tensor.grad_fn is not None and tensor.numel() == 1:
                here = sys._getframe(1)  # the user's own code speaks for itself
                frame = speaking_frame(here) if is_library(here.f_code.co_filename) else here
                found = frame and self._own(self._before_backward, tensor, frame)
                root, loss = found or (tensor, "")
            self._modules.busy = True
            self._probing.pause()
            try:
                original(root, *args, **options)
            finally:
                self._modules.busy = False
                self._probing.resume()
            if loss and self._handles and self._interventions:
                self._own(self._interventions.backward, loss)
            if loss and self._handles and self._watched.hears("after_backward"):
                self._own(self._watched.step_event, "after_backward", loss)

        backward._torchdynamo_disable = True  # type: ignore[attr-defined]  # as the original's is
        return backward

    def _before_backward(self, tensor: Tensor, frame: FrameType) -> tuple[Tensor, str]:
        self._probing.pause()
        self._losses.asked = self._probing.on
        self._evaluation.close_pass()
        root, loss = self._losses.before_backward(tensor, frame)
        if self._probing.on:
            self._probing.backward(loss, tensor, self._losses.found, changed=root is not tensor)
        return root, loss

    def _before_step(self, optimizer: Optimizer, args: Any, options: Any) -> Any:
        """Look before a step. One that is given a closure (Lightning, L-BFGS) runs its backward
        pass itself: look when that has run, through a closure that does the same and tells us."""
        if not self._mine():
            return None
        closure = options.get("closure", args[1] if len(args) > 1 else None)
        if not callable(closure):
            self._own(self._optimizers.before_plain_step, optimizer)
            self._probing.before_step(optimizer)
            return None
        self._own(self._optimizers.open_step, optimizer)
        looking = self._looking(optimizer, closure)
        if "closure" in options:
            return args, {**options, "closure": looking}
        return (args[0], looking, *args[2:]), options

    def _looking(self, optimizer: Optimizer, closure: Any) -> Any:
        looked = False

        def look() -> Any:
            nonlocal looked
            if looked and self._handles:
                self._own(self._optimizers.closure_again, optimizer)
            value = closure()
            if not looked and self._handles:
                looked = True
                self._own(self._optimizers.before_step, optimizer)
                self._probing.before_step(optimizer)
            return value

        return look

    def _after_step(self, optimizer: Optimizer, args: Any, options: Any) -> None:
        if self._mine():
            self._own(self._optimizers.after_step, optimizer)
            self._own(self._probing.after_step, optimizer)

    def _watching_compile(self) -> Any:
        original: Any = self._compile

        @functools.wraps(original)
        def compile(*args: Any, **options: Any) -> Any:  # noqa: A001 - it stands in for torch's
            self._modules.compiled = True
            self._listen(False)
            self._probing.give_way()
            return original(*args, **options)

        return compile
