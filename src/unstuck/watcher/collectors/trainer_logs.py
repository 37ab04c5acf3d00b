"""Validation metrics that a trainer has logged, taken over at the step they were logged after."""

import sys
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.trainer_logs import logs

LOOKS = 3  # sampled steps on which a trainer is looked for; most loops have none


class TrainerMetrics(Collector):
    """Looks for a trainer in the first steps; of one that is there, reads what is new."""

    every_step = True

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        logs.forget()
        self._left = LOOKS

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if outermost and self._left and not logs.known:
            self._left -= 1
            logs.look(sys._getframe(1))
            self.rest(not logs.known)

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        if logs.known:
            self._record(logs.news(), max(0, self.recorder.clock.step - 1))
        else:
            self.rest()

    def close(self) -> None:
        self._record(logs.news(), self.recorder.clock.step)

    def _record(self, news: Mapping[str, Any], step: int) -> None:
        if not news:
            return
        scalars = {n: v for n, v in news.items() if not isinstance(v, Tensor) or v.numel() == 1}
        recorder, wall = self.recorder, self.recorder.wall

        def batch() -> list[tuple[str, int, float, float]]:
            return [(name, step, float(value), wall) for name, value in scalars.items()]

        recorder.store.put(batch)
