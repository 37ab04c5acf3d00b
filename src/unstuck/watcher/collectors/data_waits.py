"""How much of the time passes before there is a batch to train on."""

import threading
import time
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from unstuck.watcher import loader_batches
from unstuck.watcher.collector import Collector, Watched

HANDED_OVER = 64  # steps, or
SECONDS = 1.0  # whichever is sooner


class DataWaits(Collector):
    """`wait/data`: share of the time spent in a DataLoader's `__next__`, validation left out.

    `wait/before_forward`: from the end of a step to the next forward pass, of a mean step.
    """

    every_step = True

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._thread = threading.get_ident()
        self._waited = 0.0
        self._loads = False
        self._step = -1
        self._steps = 0
        self._ended = self._handed = 0.0
        self._forward_in: float | None = None
        self._stop = loader_batches.listen(self._heard)

    def _heard(self, loader: Any, seconds: float, ended: bool) -> None:
        if ended or threading.get_ident() != self._thread or not torch.is_grad_enabled():
            return
        models = self.watched.modules.models.values()
        if not models or any(model.training for model in models):  # else a validation
            self._loads = True
            self._waited += seconds

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if outermost and self._forward_in is None and self._ended:
            self._forward_in = time.perf_counter() - self._ended

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        now = time.perf_counter()
        step = self.recorder.clock.step
        if step != self._step:
            self._step = step
            self._steps += 1
            self._read(step, now)
        self._ended, self._forward_in = now, None

    def _read(self, step: int, now: float) -> None:
        if not self._handed:  # the first step: what came before it is no step
            self._start(now)
            return
        mean = (now - self._handed) / self._steps
        if self._forward_in is not None and mean > 0:
            self.recorder.numbers({"wait/before_forward": self._forward_in / mean})
        if self._steps >= HANDED_OVER or now - self._handed > SECONDS:
            if self._loads:
                self.recorder.numbers({"wait/data": self._waited / (now - self._handed)})
            self._start(now)

    def _start(self, now: float) -> None:
        self._handed, self._steps, self._waited = now, 0, 0.0

    def close(self) -> None:
        self._stop()
