"""How much arithmetic a step is, and how much the machine could do in the time it takes."""

import contextlib
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.ranks import backward_talks

COUNTED_AT = 3  # the step whose forward passes are counted; the first ones may be unlike the rest
WITH_BACKWARD = 3  # a backward pass costs two forward passes: Kaplan et al. 2020, section 2.1
SECONDS = 0.25  # between two readings of the processor's time
FEWEST_STEPS = 50  # a shorter run is not worth the measurement at its end
SIZE = {"cpu": 512, "cuda": 4096}  # of the matrices whose product shows what can be had
TIMES = 5


class _Counting(TorchDispatchMode):
    """Adds up the operations of matrix products, convolutions and attention."""

    flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        options = kwargs or {}
        out = func(*args, **options)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            with contextlib.suppress(Exception):  # a shape it does not know is not counted
                self.flops += int(count(*args, **options, out_val=out))
        return out


class Arithmetic(Collector):
    """Facts `flops/step`, counted in one step, and `flops/attainable`, measured after the last.

    Time is the processor's own on a CPU, so that other programs beside it do not count.
    """

    every_step = True

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._mode: Any = None  # a _Counting that has been entered
        self._counting = False
        self._counted = 0  # in the step that is counted
        self._fresh = 0  # since the last optimizer stepped: it may belong to the next step
        self._like: Tensor | None = None
        self._from = 0, 0.0
        self._told = time.monotonic()

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if outermost and self._counting and self._mode is None:
            if self.watched.modules.compiled or backward_talks([module]):
                return
            self._like = next((p.detach() for p in module.parameters()), self._like)
            self._mode = _Counting()  # type: ignore[no-untyped-call]
            self._mode.__enter__()

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if outermost:
            self._leave()

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        if self._counting and self.recorder.clock.step > COUNTED_AT:
            self._counting = False
            if self._counted:
                self.recorder.note({"flops/step": WITH_BACKWARD * self._counted})
                self._from = self.recorder.clock.step, time.process_time()

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        step = self.recorder.clock.step
        if step < COUNTED_AT:
            self._counting, self._counted = step == COUNTED_AT - 1, 0
        elif self._counting:
            self._counted += self._fresh
        elif self._counted and time.monotonic() - self._told > SECONDS and step > self._from[0]:
            self._told, used = time.monotonic(), time.process_time()
            seconds = (used - self._from[1]) / (step - self._from[0])
            self.recorder.numbers({"seconds/processor": seconds})
            self._from = step, used
        self._fresh = 0

    def _leave(self) -> None:
        if self._mode is not None:
            mode, self._mode = self._mode, None
            mode.__exit__(None, None, None)
            self._fresh += mode.flops

    def close(self) -> None:
        self._leave()
        if self._like is not None and self._counted and self.recorder.clock.step >= FEWEST_STEPS:
            self.recorder.note({"flops/attainable": attainable(self._like)})


def attainable(like: Tensor) -> float:
    """Operations a second of a product of two large matrices on the device of this tensor.

    On a CPU, a second of all the threads torch uses.
    """
    device = like.device
    size = SIZE.get(device.type, SIZE["cpu"])
    one = torch.ones(size, size, device=device, dtype=like.dtype)
    on_cpu = device.type == "cpu"
    best = float("inf")
    with torch.no_grad():
        for _ in range(TIMES):
            began = time.process_time() if on_cpu else time.perf_counter()
            torch.mm(one, one)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            used = (time.process_time() if on_cpu else time.perf_counter()) - began
            best = min(best, max(used, 1e-6))
    return 2 * size**3 / best
