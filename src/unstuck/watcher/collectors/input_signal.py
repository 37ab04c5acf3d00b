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
    """Share of non-zeros in what a model is fed; spread over the batch of its first layer.

    Of a model that is fed several tensors, each further one is read where a part takes it in.
    """

    def __init__(self, watched: Any) -> None:
        super().__init__(watched)
        self._within: dict[str, bool] = {}  # model and parts, whether the first layer has been seen
        self._further: dict[int, Tensor] = {}  # what else the running model is fed
        self._looks = Looks()

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        fed = [a for a in args if isinstance(a, Tensor)]
        if outermost:
            self._within, self._further = {}, {}
            if not fed or not _readable(fed[0]) or not self._looks.wanted(name):
                return
            self._further = {id(x): x for x in fed[1:] if _readable(x)}
        elif not fed or self._further.pop(id(fed[0]), None) is None:
            return
        self._within[name] = False
        x = fed[0].detach()
        sample = x.reshape(-1)[:: max(1, x.numel() // SAMPLE) | 1]
        self.hold([(sample != 0).float().mean()], [f"input/{name}/nonzero"])

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if outermost:
            self._further = {}
        if not isinstance(module, UNIT_LAYERS):
            return
        model = next((w for w in reversed(self._within) if f"{name}.".startswith(f"{w}.")), None)
        if model is None or self._within[model]:
            return
        self._within[model] = True
        if isinstance(output, Tensor) and output.ndim >= 2 and len(output) > 1:
            rows = output.detach()[:ROWS].flatten(1)
            rows = rows[:, :: max(1, rows.shape[1] // (SAMPLE // ROWS)) | 1].float()
            spread = rows.std(dim=0, correction=0).mean()
            self.hold([spread], [f"input/{model}/first_spread"])


def _readable(x: Tensor) -> bool:
    return x.is_floating_point() and x.ndim >= 2 and len(x) >= 2 and x.layout is torch.strided
