"""How long a rank works for itself in a step, before it waits for the others.

Ranks that average their gradients step together: the step takes all of them as long as the
slowest. What each needs for its data and its forward pass shows who that is. Time in the backward
pass is left out, for there they wait for each other, and so is the exchange of buffers.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.ranks import process_group

HANDED_OVER = 16  # steps, or
SECONDS = 0.5  # whichever is sooner


class OwnTime(Collector):
    """`seconds/own`: the median over the steps since the last reading."""

    every_step = True

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._since: float | None = None  # when the last backward pass or step ended
        self._own = 0.0
        self._step = 0
        self._held: list[float] = []
        self._handed = time.perf_counter()
        self._restore: Callable[[], None] = lambda: None
        self._applies: bool | None = None

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        if self._applies is False:
            self.rest()
            return
        if self.recorder.clock.step != self._step:
            self._step_over()
        if self._since is not None:
            self._own += time.perf_counter() - self._since
            self._since = None

    def after_backward(self, loss: str) -> None:
        self._since = time.perf_counter()

    def after_step(self, name: str, optimizer: Optimizer) -> None:
        self._since = time.perf_counter()

    def _step_over(self) -> None:
        self._step = self.recorder.clock.step
        if self._own > 0 and self._compared():
            self._held.append(self._own)
        self._own = 0.0
        now = time.perf_counter()
        if self._held and (len(self._held) >= HANDED_OVER or now - self._handed > SECONDS):
            self._hand_over()
            self._handed = now

    def close(self) -> None:
        self._restore()
        if self._held:
            self._hand_over()

    def _hand_over(self) -> None:
        held, self._held = self._held, []
        self.recorder.numbers({"seconds/own": median(held)})

    def _compared(self) -> bool:
        """Whether there are other ranks whose forward passes do not wait for each other."""
        if self._applies is None:
            models = self.watched.modules.models.values()
            parameters = [p for m in models for p in m.parameters()]
            shared = any(hasattr(p, "_local_tensor") for p in parameters)
            self._applies = process_group() is not None and not shared
            if self._applies:
                self._restore = _timed_buffers(self._waited)
        return self._applies

    def _waited(self, seconds: float) -> None:
        self._own -= seconds


def _timed_buffers(waited: Callable[[float], None]) -> Callable[[], None]:
    """Hear how long the exchange of buffers takes; the value takes that back."""
    original: Any = getattr(DistributedDataParallel, "_sync_buffers", None)
    if original is None:
        return lambda: None

    def _sync_buffers(module: Any) -> Any:
        began = time.perf_counter()
        try:
            return original(module)
        finally:
            waited(time.perf_counter() - began)

    kind: Any = DistributedDataParallel
    kind._sync_buffers = _sync_buffers

    def restore() -> None:
        if kind._sync_buffers is _sync_buffers:
            kind._sync_buffers = original

    return restore
