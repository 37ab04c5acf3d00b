"""Two families whose recipes are to be told from their weights."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unstuck.lab.families import Family

NORMS = {
    "batch": nn.BatchNorm2d,
    "instance": lambda c: nn.InstanceNorm2d(c, affine=True),
    "group": lambda c: nn.GroupNorm(min(8, c), c),
    "none": lambda c: nn.Identity(),
}


class Attention(nn.Module):
    def __init__(self, c: int, heads: int) -> None:
        super().__init__()
        if c % heads:
            raise ValueError(f"{c} channels do not divide into {heads} heads")
        self.heads, self.query, self.key = heads, nn.Conv2d(c, c // 8, 1), nn.Conv2d(c, c // 8, 1)
        self.value = nn.Conv2d(c, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).flatten(2) for f in (self.query, self.key, self.value))
        return x + (v @ (q.transpose(1, 2) @ k).softmax(-1)).view_as(x)


class Level(nn.Module):
    """One level of a U-net: down, what lies inside, up, and the skip around it."""

    def __init__(
        self, c_in: int, c: int, inner: "Level | None", wide: int, o: dict[str, Any]
    ) -> None:
        super().__init__()
        wrapped = nn.utils.parametrizations.spectral_norm if o["spectral"] else lambda m: m
        k = o["kernel"]
        self.down = wrapped(nn.Conv2d(c_in, c, k, 2, (k - 1) // 2))
        self.norm_down, self.norm_up = NORMS[o["norm"]](c), NORMS[o["norm"]](c_in)
        self.inner, self.style = inner, o["style"] if inner is None else 0
        self.up = nn.ConvTranspose2d(wide + self.style, c_in, 4, 2, 1)
        self.attention = Attention(c, o["heads"]) if o["attention"] == o["level"] else None
        self.skip, self.dropout = o["skip"], nn.Dropout(o["dropout"])

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.norm_down(self.down(x)), 0.2)
        if self.attention is not None:
            h = self.attention(h)
        if self.inner is not None:
            h = self.inner(h)
        elif self.style:
            h = torch.cat([h, h.new_zeros(len(h), self.style, *h.shape[2:])], 1)
        h = self.dropout(self.norm_up(self.up(F.relu(h))))
        return torch.cat([x, h], 1) if self.skip == "concatenate" else x + h


class FontNet(nn.Module):
    """An 8-level generator after pix2pix, with a style code joined at the bottleneck."""

    def __init__(self, levels: int = 8, width: int = 64, styles: int = 40, **options: Any) -> None:
        super().__init__()
        if options["attention"] is not None and options["attention"] >= levels - 1:
            raise ValueError("there is no such level to attend at")
        channels = [min(width * 2**i, 8 * width) for i in range(levels)]
        double = 2 if options["skip"] == "concatenate" else 1
        inner = None
        for i in range(levels - 1, 0, -1):
            wide = channels[i] * (double if inner is not None else 1)
            inner = Level(channels[i - 1], channels[i], inner, wide, options | {"level": i})
        self.stem, self.body = nn.Conv2d(1, width, 4, 2, 1), inner
        self.out = nn.ConvTranspose2d(double * width, 1, 4, 2, 1)
        self.styles = nn.Embedding(styles, options["style"])

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.out(self.body(self.stem(x))))


FONTS = Family(
    "font generators",
    FontNet,
    {
        "levels": (8, 7, 6),
        "width": (64, 48, 32, 16, 8),
        "skip": ("concatenate", "add"),
        "attention": (None, 1, 2, 3, 4, 5, 6),
        "heads": (1, 2),
        "norm": ("instance", "batch", "none", "group"),
        "spectral": (False, True),
        "kernel": (4, 3, 5),
        "style": (128, 64),
        "styles": (40, 100, 1000),
        "dropout": (0.5, 0.0),
    },
)


class Residual(nn.Module):
    def __init__(self, c_in: int, c: int, norm: str, kernel: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(c_in, c, kernel, padding="same"), NORMS[norm](c)
        self.conv2, self.norm2 = nn.Conv2d(c, c, kernel, padding="same"), NORMS[norm](c)
        self.short = nn.Conv2d(c_in, c, 1) if c_in != c else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(h + self.short(x))


def residual(width: int, depth: int, norm: str, kernel: int, classes: int) -> nn.Module:
    sizes = [width * 2 ** (i // 2) for i in range(depth)]
    blocks = [Residual(a, b, norm, kernel) for a, b in zip([width, *sizes], sizes, strict=False)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sizes[-1], classes)]
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.Sequential(*blocks), *head)


RESNETS = Family(
    "residual networks",
    residual,
    {
        "width": (16, 32, 64),
        "depth": (2, 4, 6, 8),
        "norm": ("batch", "instance", "group", "none"),
        "kernel": (3, 5),
        "classes": (10, 100),
    },
)
