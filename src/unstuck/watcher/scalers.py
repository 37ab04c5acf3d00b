"""Mixed precision's loss scaling: the scale, and the steps a scaler leaves out.

A scaler that meets an overflow does not call the optimizer's step; the training has gone one step
further all the same.
"""

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer

from unstuck.watcher.naming import called_on, caller, clean
from unstuck.watcher.recorder import Recorder

Ours = Callable[..., Any]  # calls a function of ours in the watched thread, without letting it fail


class Scalers:
    """Hears of every gradient scaler's steps and updates while it is started."""

    def __init__(
        self, recorder: Recorder, left_out: Callable[[Optimizer], None], ours: Ours
    ) -> None:
        self._recorder = recorder
        self._left_out = left_out
        self._ours = ours
        self._names: dict[int, str] = {}
        self._step, self._update = GradScaler.step, GradScaler.update

    def start(self) -> None:
        step, update = self._step, self._update

        @functools.wraps(step)
        def watched_step(scaler: GradScaler, optimizer: Optimizer, *args: Any, **more: Any) -> Any:
            before = self._recorder.clock.updates
            result = step(scaler, optimizer, *args, **more)
            if self._recorder.clock.updates == before:
                self._ours(self._left_out, optimizer)
            return result

        @functools.wraps(update)
        def watched_update(scaler: GradScaler, *args: Any, **more: Any) -> Any:
            result = update(scaler, *args, **more)
            self._ours(self._read, scaler)
            return result

        GradScaler.step = watched_step  # type: ignore[method-assign,assignment]
        GradScaler.update = watched_update  # type: ignore[method-assign,assignment]

    def stop(self) -> None:
        GradScaler.step, GradScaler.update = self._step, self._update  # type: ignore[method-assign]

    def _read(self, scaler: GradScaler) -> None:
        scale = scaler._scale
        if isinstance(scale, Tensor):
            self._recorder.scalar(f"loss_scale/{self._name(scaler)}", scale.detach().clone())

    def _name(self, scaler: GradScaler) -> str:
        if id(scaler) not in self._names:
            frame = caller(2)
            wanted = clean((frame and called_on(frame)) or "scaler")
            unique, count = wanted, 1
            while unique in self._names.values():
                count += 1
                unique = f"{wanted}.{count}"
            self._names[id(scaler)] = unique
        return self._names[id(scaler)]
