"""The watcher: hooks into torch while it is attached, and nothing of it is left afterwards.

Whatever goes wrong in here, training goes on: the watcher warns once and detaches itself.
"""

import functools
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from unstuck.records import Scalar
from unstuck.vocabulary import metric_name
from unstuck.watcher.changes import parsed
from unstuck.watcher.collector import Watched
from unstuck.watcher.evaluation import Evaluation
from unstuck.watcher.functions import Functions
from unstuck.watcher.losses import Losses
from unstuck.watcher.modules import Modules
from unstuck.watcher.naming import caller, clean
from unstuck.watcher.optimizers import Optimizers
from unstuck.watcher.recorder import Recorder
from unstuck.watcher.store import Store


class Watcher:
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
    ) -> None:
        wanted = parsed(changes)
        self.path = directory
        self._store = Store(directory, name=name, recipe=recipe)
        self._recorder = Recorder(self._store)
        self._watched = Watched(self._recorder, everything=everything)
        self._modules = Modules(self._recorder, self._watched, latents, given=bool(models))
        self._optimizers = Optimizers(
            self._recorder, self._watched, self._modules, optimizers, wanted, self._listen
        )
        self._watched.modules, self._watched.optimizers = self._modules, self._optimizers
        self._losses = Losses(
            self._recorder, self._watched, self._modules, self._optimizers, wanted
        )
        self._functions = Functions(self._mine)
        self._evaluation = Evaluation(self._recorder, self._modules.models.values, self._functions)
        self._process, self._thread = os.getpid(), threading.get_ident()
        self._handles: list[Any] = []
        self._backward = Tensor.backward
        self.joinable = False  # a script that watches itself under `unstuck run` joins that run
        self.add(models)
        self._recorder.note(_environment())

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

    # What no hook can know; each is read on sampled steps only.

    def embedding(self, name: str, codes: Tensor) -> None:
        """Tell of representations or codes (n, d), one row a sample."""
        self._told("embedding", (name,), (codes,))

    def pair(self, first: str, one: Tensor, second: str, other: Tensor) -> None:
        """Tell of two modalities' embeddings (n, d) each, row i of both of the same sample."""
        self._told("pair", (first, second), (one, other))

    def pool(self, losses: Tensor, name: str = "pool") -> None:
        """Tell of the losses (n,) of the samples kept in a pool or a replay buffer."""
        self._told("pool", (name,), (losses,))

    def targets(self, similarities: Tensor, name: str = "targets") -> None:
        """Tell of what is to be reached: similarity targets (n, n), or any target tensor."""
        self._told("targets", (name,), (similarities,))

    def generated(self, samples: Tensor, name: str = "generated") -> None:
        """Tell of a generator's output (n, ...), one sample a row."""
        self._told("generated", (name,), (samples,))

    def _told(self, kind: str, names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> None:
        if self._modules.listening or self._watched.closely:
            self._watched.told(kind, tuple(clean(n) for n in names), tensors)

    def attach(self) -> None:
        """Begin to watch: backward passes, optimizer steps, module calls."""
        self._handles = [
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]
        Tensor.backward = self._watching_backward()  # type: ignore[method-assign]
        self._evaluation.start()
        self._listen(True)

    def close(self) -> None:
        """Stop watching, write everything, close the file. Safe to call twice."""
        if os.getpid() == self._process:
            if self._handles:
                self._detach()
                self._watched.close()
                self._recorder.flush()
            self._store.close()

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is not None:
            self.note({"exit/exception": f"{kind.__name__}: {error}"[:1000]})
        self.close()

    def _detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        Tensor.backward = self._backward  # type: ignore[method-assign]
        self._listen(False)
        self._evaluation.stop()

    def _listen(self, on: bool) -> None:
        """Hear of forward passes and of functions, or no more; steps in between cost nothing."""
        self._modules.listen(on)
        if self._modules.listening:
            self._functions.listen("collectors", self._watched.functions, self._called)
        else:
            self._functions.stop("collectors")

    def _called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if not self._modules.busy:
            self._watched.called(function, args, options, result)

    def _mine(self) -> bool:
        """Whether this is the process and the thread that is being watched."""
        return threading.get_ident() == self._thread and os.getpid() == self._process

    def _give_up(self, error: Exception) -> None:
        self._detach()
        text = f"{type(error).__name__}: {error}"[:500]
        self.note({"exit/watcher": text})
        print(f"unstuck: stopped watching ({text}); training goes on", file=sys.stderr)

    def _watching_backward(self) -> Any:
        original: Any = self._backward

        @functools.wraps(original)
        def backward(tensor: Tensor, *args: Any, **options: Any) -> Any:
            root, frame, loss = tensor, caller(1), ""
            if self._mine() and frame and tensor.numel() == 1 and tensor.grad_fn is not None:
                try:
                    self._evaluation.close_pass()
                    root, loss = self._losses.before_backward(tensor, frame)
                except Exception as error:
                    self._give_up(error)
            self._modules.busy = True
            try:
                original(root, *args, **options)
            finally:
                self._modules.busy = False
            if loss and self._handles:
                self._watched.step_event("after_backward", loss)

        return backward

    def _before_step(self, optimizer: Optimizer, args: Any, options: Any) -> None:
        if self._mine():
            try:
                self._optimizers.before_step(optimizer)
            except Exception as error:
                self._give_up(error)

    def _after_step(self, optimizer: Optimizer, args: Any, options: Any) -> None:
        if self._mine():
            try:
                self._optimizers.after_step(optimizer)
            except Exception as error:
                self._give_up(error)


def _environment() -> dict[str, Scalar]:
    return {
        "environment/python": sys.version.split()[0],
        "environment/torch": str(torch.__version__),
        "environment/threads": torch.get_num_threads(),
        "environment/cuda": torch.cuda.is_available(),
    }
