"""Networks and the field of one of their outputs, by the formula of Araujo et al. 2019."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Span = tuple[int, int]


def conv(k: int, s: int = 1, p: int = 0, d: int = 1):
    """The cells that the cells first..last of a convolution's or a pooling's output see."""
    return lambda a, b: (a * s - p, b * s - p + (k - 1) * d)


def transposed(k: int, s: int, p: int):
    return lambda a, b: (math.ceil((a + p - k + 1) / s), (b + p) // s)


def enlarged(by: int):
    return lambda a, b: (a // by, b // by)


def through(*layers):
    """Araujo et al. 2019: from the output back to the input."""

    def span(a: int, b: int) -> Span:
        for layer in reversed(layers):
            a, b = layer(a, b)
        return a, b

    return span


def either(*paths):
    """Paths that meet: all that any of them sees."""
    return lambda a, b: (min(p(a, b)[0] for p in paths), max(p(a, b)[1] for p in paths))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.one = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.two, self.norm = nn.Conv2d(outputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs)
        self.past = nn.Conv2d(inputs, outputs, 1, stride)
        nn.init.zeros_(self.norm.weight)  # the branch begins at nothing

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.past(x) + self.norm(self.two(F.relu(self.one(x)))))


class Unet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.low, self.up = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.down(x))
        deep = F.relu(self.deep(F.max_pool2d(skip, 2)))
        deep = F.interpolate(F.relu(self.low(F.max_pool2d(deep, 2))), scale_factor=4)
        return self.up(torch.cat([skip, deep], 1))


class Transformer(nn.Module):
    """Patches of 4 px that attend to each other, and pixels again."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.join = nn.Conv2d(1, 16, 4, 4), nn.ConvTranspose2d(16, 1, 4, 4)
        self.attend = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        cells = self.cut(x)
        words = self.attend(cells.flatten(2).transpose(1, 2))
        return self.join(words.transpose(1, 2).reshape(cells.shape))


def block(stride: int = 1):
    return either(conv(1, stride), through(conv(3, stride, 1), conv(3, 1, 1)))


def sequence(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


NETS = {
    "one": (lambda: nn.Conv2d(1, 2, 3, padding=1), conv(3, 1, 1)),
    "cell by cell": (lambda: sequence(nn.Conv2d(1, 8, 1), nn.ReLU(), nn.Conv2d(8, 1, 1)), conv(1)),
    "valid": (
        lambda: sequence(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 5)),
        through(conv(3), conv(5)),
    ),
    "even kernel": (lambda: nn.Conv2d(1, 2, 4, padding=1), conv(4, 1, 1)),
    "dilated": (
        lambda: sequence(
            nn.Conv2d(1, 8, 3, padding=2, dilation=2), nn.ReLU(),
            nn.Conv2d(8, 1, 3, padding=4, dilation=4),
        ),
        through(conv(3, 1, 2, 2), conv(3, 1, 4, 4)),
    ),
    "strided": (
        lambda: sequence(
            nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 3, 2, 1)
        ),
        through(conv(3, 2, 1), conv(3, 2, 1)),
    ),
    "pooled": (
        lambda: sequence(
            nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 1, 3, padding=1)
        ),
        through(conv(5, 1, 2), conv(2, 2), conv(3, 1, 1)),
    ),
    "averaged": (
        lambda: sequence(nn.Conv2d(1, 8, 3, padding=1), nn.Tanh(), nn.AvgPool2d(3, 3)),
        through(conv(3, 1, 1), conv(3, 3)),
    ),
    "residual": (
        lambda: sequence(Block(1, 8), Block(8, 8, 2), Block(8, 8)),
        through(block(), block(2), block()),
    ),
    "u-net": (
        Unet,
        through(
            conv(3, 1, 1),
            either(
                conv(1),
                through(conv(2, 2), conv(3, 1, 1), conv(2, 2), conv(3, 1, 1), enlarged(4)),
            ),
            conv(3, 1, 1),
        ),
    ),
    "transposed": (
        lambda: sequence(
            nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1)
        ),
        through(conv(4, 2, 1), transposed(4, 2, 1)),
    ),
    "grouped": (
        lambda: sequence(
            nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.GELU(),
            nn.Conv2d(8, 1, 1),
        ),
        conv(7, 1, 3),
    ),
    "circular": (
        lambda: sequence(
            nn.Conv2d(1, 8, 3, padding=1, padding_mode="circular"), nn.ReLU(),
            nn.Conv2d(8, 1, 5, padding=2, padding_mode="circular"),
        ),
        through(conv(3, 1, 1), conv(5, 1, 2)),
    ),
    "deep": (
        lambda: sequence(
            *(m for i in range(9) for m in (nn.Conv2d(4 if i else 1, 4, 3, padding=1), nn.ReLU()))
        ),
        through(*[conv(3, 1, 1)] * 9),
    ),
}  # fmt: skip
