"""Generator and discriminator, as the notes describe them.

Pictures are (n, 1, size, size) in [-1, 1]: -1 is ink, 1 is paper. At 384 px with added skips and
attention at the two innermost levels the generator has 52,874,950 parameters, the discriminator
4,412,266 (the notes' 52.875 M and 4.412 M).
"""

import itertools
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from unstuck.cases.zi2zi.recipe import STYLE_WIDTH, STYLES, Recipe

LEVELS = {64: 6, 128: 7, 256: 8, 384: 7}  # halvings of a picture, by its side
WIDEST = 8  # times the channels of the first level
STD = 0.02  # of the initial weights


class Attention(nn.Module):
    """Every place looks at every other (n, c, h, w): queries and keys of c / 8 channels.

    Zhang et al., "Self-attention generative adversarial networks" (2019). `gate` starts at zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, max(1, channels // 8), 1)
        self.key = nn.Conv2d(channels, max(1, channels // 8), 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            conv(x).flatten(2).transpose(1, 2) for conv in (self.query, self.key, self.value)
        )
        seen = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        return x + self.gate * seen.transpose(1, 2).reshape(x.shape)


class Down(nn.Module):
    """Half the size: LeakyReLU (not on a picture), convolution 4 x 4 with stride 2, norm."""

    def __init__(self, inputs: int, outputs: int, activated: bool, normalised: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, 2, 1)
        self.activated, self.normalised = activated, normalised

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(F.leaky_relu(x, 0.2) if self.activated else x)
        return F.instance_norm(x) if self.normalised else x


class Up(nn.Module):
    """Twice the size: ReLU, convolution 3 x 3 to four times the channels, pixel shuffle, norm."""

    def __init__(self, inputs: int, outputs: int, normalised: bool, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4 * outputs, 3, 1, 1)
        self.normalised = normalised
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_shuffle(self.conv(F.relu(x)), 2)
        found: Tensor = self.dropout(F.instance_norm(x) if self.normalised else x)
        return found


class Generator(nn.Module):
    """UNet (n, 1, s, s) and styles (n,) -> (n, 1, s, s); the style joins at the bottleneck."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        r, levels = recipe, LEVELS[recipe.size]
        channels = [min(2**level, WIDEST) * r.ngf for level in range(levels)]
        normed = [
            r.norm == "instance" and r.size >> (level + 1) > 1 for level in range(levels)
        ]  # one pixel has no spread
        self.skips = r.skips
        self.style = nn.Embedding(STYLES, STYLE_WIDTH)
        self.down = nn.ModuleList(
            Down(
                channels[level - 1] if level else 1,
                channels[level],
                level > 0,
                level > 0 and normed[level],
            )
            for level in range(levels)
        )
        doubled = 2 if r.skips == "concatenated" else 1
        self.up = nn.ModuleList()
        self.attention = nn.ModuleDict()
        for level in reversed(range(levels)):
            deepest = level == levels - 1
            inputs = channels[level] + STYLE_WIDTH if deepest else doubled * channels[level]
            outputs = channels[level - 1] if level else 1
            inner = levels - 3 <= level < levels - 1 and level > 0
            self.up.append(
                Up(inputs, outputs, r.norm == "instance" and level > 0, r.dropout if inner else 0.0)
            )
        for level in attended(r):
            self.attention[str(level)] = Attention(channels[level - 1])
        initialise(self)
        if r.spectral_g:
            _spectral(self)

    def encode(self, x: Tensor) -> list[Tensor]:
        """What every level of the encoder gives; the last is the bottleneck."""
        found = []
        for down in self.down:
            x = down(x)
            found.append(x)
        return found

    def decode(self, seen: list[Tensor], styles: Tensor) -> Tensor:
        x = seen[-1]
        style = self.style(styles)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        x = torch.cat([x, style], 1)
        for level, up in zip(reversed(range(len(seen))), self.up, strict=True):
            if level < len(seen) - 1 and self.skips == "added":
                x = x + seen[level]
            elif level < len(seen) - 1 and self.skips == "concatenated":
                x = torch.cat([x, seen[level]], 1)
            x = up(x)
            if str(level) in self.attention:
                x = self.attention[str(level)](x)
        return torch.tanh(x)

    def drawn(self, x: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures, and the codes (n, c, h, w) of the bottleneck they are drawn from."""
        seen = self.encode(x)
        return self.decode(seen, styles), seen[-1]

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        return self.drawn(x, styles)[0]


def attended(recipe: Recipe) -> tuple[int, ...]:
    """Levels whose decoder output is attended: the two innermost, or the outermost of 256 channels.

    "shallow" is where the full generator (ngf 64) has 256 channels, whatever `ngf` is.
    """
    if recipe.attention == "innermost":
        return LEVELS[recipe.size] - 1, LEVELS[recipe.size] - 2
    return (3,) if recipe.attention == "shallow" else ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a discriminator says: real or drawn (n, 1), which style (n, 40), and what it saw."""

    real: Tensor
    style: Tensor
    features: list[Tensor]


class Discriminator(nn.Module):
    """Source and target (n, 1, s, s) each -> Judgement: five convolutions 5 x 5, two heads."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        widths = [2, *(recipe.ndf * 2**i for i in range(4)), 1]
        self.conv = nn.ModuleList(
            nn.Conv2d(a, b, 5, 2 if i < 3 else 1, 2)
            for i, (a, b) in enumerate(itertools.pairwise(widths))
        )
        self.normalised = recipe.norm_d == "instance"
        places = (recipe.size // 8) ** 2
        self.real = nn.Linear(places, 1)
        self.style = nn.Linear(places, STYLES)
        initialise(self)
        if recipe.spectral_d:
            _spectral(self)

    def forward(self, source: Tensor, target: Tensor) -> Judgement:
        x, features = torch.cat([source, target], 1), []
        for i, conv in enumerate(self.conv[:-1]):
            x = conv(x)
            if self.normalised and i > 0:
                x = F.instance_norm(x)
            x = F.leaky_relu(x, 0.2)
            features.append(x)
        flat = self.conv[-1](x).flatten(1)
        return Judgement(self.real(flat), self.style(flat), features)


def initialise(model: nn.Module) -> None:
    """Normal weights of `STD` in convolutions, as published; no biases."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _spectral(model: nn.Module) -> None:
    for module in list(model.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            spectral_norm(module)


M = TypeVar("M", bound=nn.Module)


def placed(model: M, recipe: Recipe) -> M:
    """The model on the recipe's device, its weights in the layout that was asked for."""
    if recipe.device != "cpu":
        model = model.to(recipe.device)
    if recipe.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def parameters(model: nn.Module) -> int:
    """How many numbers are learnt."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
