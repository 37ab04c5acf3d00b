"""How far the statistics a batch is normalised by lie from those used at evaluation."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.statistics import SAMPLE

MOST_LAYERS = 100  # batch normalisations that are read
ROWS = 64  # samples, where statistics have to be computed anew
FLOOR = 1e-5  # of a variance: the usual eps of a normalisation
FARTHEST = 4.0  # standard deviations: a channel that is constant counts for no more than this


@dataclass(slots=True)
class Call:
    """The first call of a batch normalisation in a step: its statistics, and the batch's."""

    name: str
    samples: int
    numbers: int  # that each channel's statistics are taken of
    mean: Tensor
    variance: Tensor
    batch_mean: Tensor | None = None
    batch_variance: Tensor | None = None


class BatchStatistics(Collector):
    """`normalisation/<model>.<layer>/...` of batch normalisations with running statistics.

    In training mode the running statistics move towards the batch's by `momentum`, so how far they
    move tells the batch's own: nothing is computed twice.
    """

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._calls: dict[str, Call] = {}

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if not isinstance(module, _BatchNorm) or name in self._calls or not args:
            return
        x, mean, variance = args[0], module.running_mean, module.running_var
        if mean is None or variance is None or not isinstance(x, Tensor) or x.ndim < 2:
            return
        if len(self._calls) < MOST_LAYERS and module.momentum is not None and x.numel():
            numbers = x.numel() // x.shape[1]
            call = Call(name, x.shape[0], numbers, mean.clone(), variance.clone())
            if not module.training or module.momentum == 0:
                call.batch_mean, call.batch_variance = _of_batch(x)
            self._calls[name] = call

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        call = self._calls.get(name)
        if call is None or call.batch_mean is not None or not isinstance(module, _BatchNorm):
            return
        mean, variance, momentum = module.running_mean, module.running_var, module.momentum
        if mean is not None and variance is not None and momentum:
            call.batch_mean = call.mean + (mean - call.mean) / momentum
            call.batch_variance = call.variance + (variance - call.variance) / momentum

    def before_backward(self, loss: str, root: Tensor, value: Tensor) -> None:
        calls = [c for c in self._calls.values() if c.batch_mean is not None]
        self._calls = {}
        if not calls:
            return
        squares = distance(
            torch.cat([c.batch_mean for c in calls if c.batch_mean is not None]),
            torch.cat([c.batch_variance for c in calls if c.batch_variance is not None]),
            torch.cat([c.mean for c in calls]),
            torch.cat([c.variance for c in calls]),
        )
        gaps = [part.mean().sqrt() for part in squares.split([c.mean.numel() for c in calls])]
        names = [f"normalisation/{c.name}/gap" for c in calls]
        self.recorder.vector(gaps, lambda values: dict(zip(names, values, strict=True)))
        counts = {}
        for c in calls:
            counts[f"normalisation/{c.name}/samples"] = float(c.samples)
            counts[f"normalisation/{c.name}/numbers"] = float(c.numbers)
        self.recorder.numbers(counts)


def distance(mean: Tensor, variance: Tensor, old_mean: Tensor, old_variance: Tensor) -> Tensor:
    """By channel: squared shift in old standard deviations and squared log ratio of both."""
    shift = (mean - old_mean).square() / (old_variance + FLOOR)
    ratio = 0.5 * ((variance.clamp_min(0) + FLOOR) / (old_variance + FLOOR)).log()
    return (shift + ratio.square()).clamp_max(FARTHEST**2)


def _of_batch(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance by channel, of some of the samples and of their positions."""
    part = x.detach()[:ROWS].reshape(min(ROWS, x.shape[0]), x.shape[1], -1)
    every = max(1, part.shape[0] * part.shape[2] // SAMPLE) | 1  # odd: no row is aliased
    variance, mean = torch.var_mean(part[:, :, ::every].float(), dim=(0, 2), correction=0)
    return mean, variance
