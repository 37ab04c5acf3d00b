"""How much of a target is due to its place on the canvas alone, beyond what can be seen there.

A target is first explained without the place: by the pixels nearby, by random features of a small
convolutional network, and by the model's own output, in one ridge regression. Then an offset is
added place by place, or an offset and a gain, whichever explains more. Both are fitted on half of
the samples and judged on the other half, so that few samples cannot feign a map. Only places are
used whose field ends before the border, which would tell the model where it is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

FEWEST = 8  # samples
PLACES = 400  # that are looked at
FEATURES = 48  # random ones
RIDGE = 1e-3  # of the features' mean square
CHANNELS = 32  # of input and output that are used as they are


@dataclass(frozen=True, slots=True)
class Need:
    """`needed`: share of the target's variance; `left`: of what the blind regression left over.

    `of_input`: share of the input's own variance that its place explains.
    """

    needed: float
    left: float
    of_input: float


def need_of_place(
    x: Tensor, out: Tensor, target: Tensor, margin: tuple[int, int] = (0, 0)
) -> Need | None:
    """What the place explains of (n, k, h, w); None for too few samples, places or no variance.

    `margin`: rows and columns at the border that are left out.
    """
    height, width = x.shape[2:]
    rows, columns = (
        torch.arange(m, max(s - m, m)) for m, s in zip(margin, (height, width), strict=True)
    )
    if len(x) < FEWEST or min(len(rows), len(columns)) < 2:
        return None
    drawn = torch.Generator().manual_seed(0)
    places = torch.cartesian_prod(rows, columns)
    places = places[torch.randperm(len(places), generator=drawn)[:PLACES]].to(x.device)

    def at(picture: Tensor) -> Tensor:  # (n, places, k)
        return picture[:, :, places[:, 0], places[:, 1]].transpose(1, 2).double()

    seen = torch.cat([at(t) for t in _features(x, out, drawn)], -1)
    wanted, given = at(target), at(x[:, :CHANNELS])
    order = torch.randperm(len(x), generator=drawn).to(x.device)
    half = order[: len(x) // 2], order[len(x) // 2 :]
    blind = plain = scaled = total = even = moving = 0.0
    for one, other in (half, half[::-1]):
        guess = _Ridge(seen[one], wanted[one])
        before, now = guess(seen[one]), guess(seen[other])
        rest, left = wanted[one] - before, wanted[other] - now
        blind += float(left.square().sum())
        plain += float((left - rest.mean(0)).square().sum())
        scaled += float((left - _by_place(before, rest, now)).square().sum())
        total += float((wanted[other] - wanted[one].mean((0, 1))).square().sum())
        even += float((given[other] - given[one].mean((0, 1))).square().sum())
        moving += float((given[other] - given[one].mean(0)).square().sum())
    if not 0 < total < float("inf"):
        return None
    blind = min(blind, total)  # no regression is better than one that misleads
    gain = max(blind - min(plain, scaled), 0.0)
    of_input = max(1 - moving / even, 0.0) if even > 0 else 0.0
    return Need(gain / total, gain / blind if blind > 0 else 0.0, of_input)


def _by_place(guess: Tensor, rest: Tensor, now: Tensor) -> Tensor:
    """What is left, place by place, as a straight line over the guess: an offset and a gain."""
    level, mean = guess.mean(0), rest.mean(0)
    away = guess - level
    size = away.square().mean(0)
    gain = (away * (rest - mean)).mean(0) / (size + size.mean() / len(guess)).clamp_min(1e-30)
    return mean + gain * (now - level)


def _features(x: Tensor, out: Tensor, drawn: torch.Generator) -> list[Tensor]:
    """What can be told without knowing the place: each (n, k, h, w)."""
    scale = x.std().clamp_min(1e-12)
    given = ((x - x.mean()) / scale)[:, :CHANNELS]

    def convolved(t: Tensor, spread: int) -> Tensor:
        weight = torch.randn(FEATURES, t.shape[1], 3, 3, generator=drawn).to(t)
        weight /= (9 * t.shape[1]) ** 0.5
        shift = 0.3 * torch.randn(FEATURES, generator=drawn).to(t)
        pads = [spread] * 4
        mode = "reflect" if min(t.shape[2:]) > spread else "replicate"
        return functional.relu(
            functional.conv2d(functional.pad(t, pads, mode=mode), weight, shift, dilation=spread)
        )

    near = convolved(given, 1)
    return [given, out[:, :CHANNELS], near, convolved(near, 2), convolved(near, 4)]


class _Ridge:
    """A ridge regression with an intercept: fitted on (n, places, k), then a function."""

    def __init__(self, seen: Tensor, wanted: Tensor) -> None:
        self.mean = seen.mean((0, 1))
        self.size = seen.flatten(0, 1).std(0).clamp_min(1e-9)
        z, self.level = self._ready(seen), wanted.mean((0, 1))
        gram = z.T @ z
        gram.diagonal().add_(RIDGE * len(z) + 1e-9)
        self.weights = torch.linalg.solve(gram, z.T @ (wanted - self.level).flatten(0, 1))

    def _ready(self, seen: Tensor) -> Tensor:
        return ((seen - self.mean) / self.size).flatten(0, 1)

    def __call__(self, seen: Tensor) -> Tensor:
        found: Tensor = self._ready(seen) @ self.weights + self.level
        return found.view(*seen.shape[:2], -1)
