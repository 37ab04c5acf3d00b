"""How much of a model's input is zero, and how much of it is left behind its first weights."""

from typing import Any

import torch
from torch import Tensor, nn

from unstuck.watcher.call_sites import Looks
from unstuck.watcher.collector import Collector
from unstuck.watcher.statistics import SAMPLE, UNIT_LAYERS

ROWS = 32  # samples of the first layer's output that are read, and as many numbers of each as
# make SAMPLE


class InputSignal(Collector):
    """Share of non-zeros in what a model is fed; spread over the batch of its first layer."""

    def __init__(self, watched: Any) -> None:
        super().__init__(watched)
        self._within: str | None = None  # the model whose first layer has not been seen yet
        self._looks = Looks()

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if not outermost:
            return
        self._within = None
        first = next((a for a in args if isinstance(a, Tensor)), None)
        if first is None or not first.is_floating_point() or first.ndim < 2 or len(first) < 2:
            return
        if first.layout is not torch.strided or not self._looks.wanted(name):
            return
        self._within = name
        x = first.detach()
        sample = x.reshape(-1)[:: max(1, x.numel() // SAMPLE) | 1]
        self.hold([(sample != 0).float().mean()], [f"input/{name}/nonzero"])

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if self._within is None or not isinstance(module, UNIT_LAYERS):
            return
        model, self._within = self._within, None
        if isinstance(output, Tensor) and output.ndim >= 2 and len(output) > 1:
            rows = output.detach()[:ROWS].flatten(1)
            rows = rows[:, :: max(1, rows.shape[1] // (SAMPLE // ROWS)) | 1].float()
            spread = rows.std(dim=0, correction=0).mean()
            self.hold([spread], [f"input/{model}/first_spread"])
