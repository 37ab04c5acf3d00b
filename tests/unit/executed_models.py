"""Architectures by name, each with its skip connections counted by hand."""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unstuck.cases.contrast.model import ContrastNet
from unstuck.cases.contrast.recipe import Recipe
from unstuck.cases.course import (
    diffusion,
    inpainting,
    mae,
    rectified_flow,
    resnet,
    segmentation,
    transformer_lm,
    vit,
)
from unstuck.lab.executed import recorded
from unstuck.lab.executed_skips import Skip, skips

PICTURE = (4, 3, 16, 16)


def found_in(model: nn.Module, *inputs: Tensor, run=None, **named) -> list[Skip]:
    batch = [*inputs, *named.values()]
    with torch.set_grad_enabled(run is not None):
        return skips(recorded(run or (lambda: model(*inputs, **named)), model, batch))


def around_of(found: list[Skip]) -> int:
    return sum(s.around for s in found)


class Block(nn.Module):
    """A residual block; a projection where shapes differ."""

    def __init__(self, i: int, o: int, stride: int = 1, in_place: bool = False) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.BatchNorm2d(o), nn.ReLU(True))
        self.second = nn.Sequential(nn.Conv2d(o, o, 3, 1, 1), nn.BatchNorm2d(o))
        project = nn.Sequential(nn.Conv2d(i, o, 1, stride), nn.BatchNorm2d(o))
        self.past = nn.Identity() if i == o and stride == 1 else project
        self.in_place = in_place

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        if self.in_place:
            y += self.past(x)
            return F.relu(y, inplace=True)
        return (y + self.past(x)).relu()


def residual(in_place: bool) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(True),
        Block(8, 8, 1, in_place), Block(8, 16, 2, in_place), Block(16, 16, 1, in_place),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


def conv(i: int, o: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(i, o, kernel, stride, kernel // 2), nn.BatchNorm2d(o), nn.ReLU())


class Unet(nn.Module):
    """Two poolings, two skips; `time`: a broadcast embedding on the way down."""

    def __init__(self, added: bool, time: bool = False, gated: bool = False) -> None:
        super().__init__()
        self.added, self.down = added, nn.ModuleList([conv(3, 8), conv(8, 8)])
        self.middle, width = conv(8, 8), 8 if added else 16
        self.up = nn.ModuleList([conv(width, 8), conv(width, 8)])
        self.last = nn.Conv2d(8, 3, 1)
        self.time = nn.Linear(1, 8) if time else None
        self.gate = nn.Conv2d(8, 1, 1) if gated else None

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        across = []
        for down in self.down:
            x = down(x)
            if self.time is not None:
                x = x + self.time(t)[:, :, None, None]
            across.append(x)
            x = F.avg_pool2d(x, 2)
        x = self.middle(x)
        for up in self.up:
            x, side = F.interpolate(x, scale_factor=2.0), across.pop()
            if self.gate is not None:
                side = side * self.gate(x).sigmoid()
            x = up(x + side if self.added else torch.cat([x, side], 1))
        return self.last(x)


class DenseBlock(nn.Module):
    """Four layers that see all before them: 1 + 2 + 3 + 4 operands, or 4 where nested."""

    def __init__(self, nested: bool) -> None:
        super().__init__()
        self.nested, self.first = nested, nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Sequential(conv(8 + 4 * i, 16, 1), nn.Conv2d(16, 4, 3, padding=1)) for i in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        features = [self.first(x)]
        for layer in self.layers:
            if self.nested:
                features = [torch.cat([features[0], layer(features[0])], 1)]
            else:
                features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1) if len(features) > 1 else features[0]


class Hourglass(nn.Module):
    """Skips that are worked on; residual blocks all over."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.past, self.before, self.after = Block(8, 8), Block(8, 8), Block(8, 8)
        self.inside = Hourglass(depth - 1) if depth > 1 else Block(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        low = self.after(self.inside(self.before(F.max_pool2d(x, 2))))
        return self.past(x) + F.interpolate(low, scale_factor=2.0)


class Pyramid(nn.Module):
    """FPN: three levels, two of them joined from above."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([conv(3, 8, 3, 2), conv(8, 16, 3, 2), conv(16, 32, 3, 2)])
        self.across = nn.ModuleList(nn.Conv2d(c, 8, 1) for c in (8, 16, 32))
        self.out = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = []
        for down in self.down:
            x = down(x)
            levels.append(x)
        p = self.across[2](levels[2])
        outs = [self.out[2](p)]
        for i in (1, 0):
            p = self.across[i](levels[i]) + F.interpolate(p, scale_factor=2.0)
            outs.append(self.out[i](p))
        return outs


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = conv(3, 8)
        self.branches = nn.ModuleList([
            conv(8, 4, 1), nn.Sequential(conv(8, 4, 1), conv(4, 4, 3)),
            nn.Sequential(conv(8, 4, 1), conv(4, 4, 5)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(8, 4, 1)),
        ])  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return torch.cat([branch(x) for branch in self.branches], 1)


class Squeeze(nn.Module):
    """A residual block whose branch is weighed channel by channel."""

    def __init__(self, expanded: bool) -> None:
        super().__init__()
        self.branch, self.expanded = conv(8, 8), expanded
        self.gate = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        gate = self.gate(y.mean((2, 3)))[:, :, None, None]
        return (x + y * (gate.expand_as(y) if self.expanded else gate)).relu()


class Radiance(nn.Module):
    """The encoded place again in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self.second = nn.Linear(25, 4)

    def forward(self, x: Tensor) -> Tensor:
        encoded = torch.cat([x, x.sin(), x.cos()], 1)
        return self.second(torch.cat([encoded, self.first(encoded)], 1))


class Noise(nn.Module):
    """DnCNN: the noise is drawn and taken away."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = nn.Sequential(conv(3, 8), nn.Conv2d(8, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.noise(x)


class ByHand(nn.Module):
    """GELU and LayerNorm written out, positions added, a class token in front."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)
        self.token, self.position = (nn.Parameter(torch.randn(1, n, 8)) for n in (1, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), self.first(x)], 1) + self.position
        mean = x.mean(-1, keepdim=True)
        x = (x - mean) / ((x - mean).square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return self.last(0.5 * x * (1 + torch.tanh(0.797 * (x + 0.0447 * x**3))))


class Heads(nn.Module):
    """A VAE's: mean and spread of one trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.mean, self.spread = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.trunk(x).relu()
        mean = self.mean(h)
        return mean + torch.randn_like(mean) * (self.spread(h) / 2).exp()


class Recurrent(nn.Module):
    """tanh(W x + U h), step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.given, self.kept = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros_like(x[:, 0])
        for moment in range(x.shape[1]):
            h = torch.tanh(self.given(x[:, moment]) + self.kept(h))
        return h


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is on its way out, but still met
        return torch.jit.script(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()))


def pictures(make, *size: int):
    return lambda: (make(), (torch.randn(*(size or PICTURE)),))


def contrast(strategy: str, same: bool):
    recipe = Recipe(cross_domain_strategy=strategy, same_domain_use_skip=same)
    return lambda: (ContrastNet(recipe), (torch.randn(4, 2, 16, 16), torch.randn(4, 2, 16, 16)))


def masked():
    kept = torch.rand(4, 16).argsort(1)[:, :4]
    return mae.MaskedAutoencoder(32, 2), (torch.randn(4, 16, 49), kept)


def noised(net, size: int, classes: bool = False):
    more = (torch.randint(10, (4,)),) if classes else ()
    return lambda: (net(32), (torch.randn(4, 1, size, size), torch.rand(4), *more))


# name -> model and batch, number of skips, of those around a lower resolution
ARCHITECTURES = {
    "plain CNN": (pictures(lambda: nn.Sequential(conv(3, 8), conv(8, 8), nn.Flatten())), 0, 0),
    "U-net, concatenated": (pictures(lambda: Unet(False)), 2, 2),
    "U-net, added": (pictures(lambda: Unet(True)), 2, 2),
    "U-net, gated": (pictures(lambda: Unet(False, gated=True)), 2, 2),
    "U-net with time": (
        lambda: (Unet(False, time=True), (torch.randn(*PICTURE), torch.rand(4, 1))), 2, 2,
    ),
    "ResNet": (pictures(lambda: residual(False)), 3, 0),
    "ResNet, in place": (pictures(lambda: residual(True)), 3, 0),
    "DenseNet": (pictures(lambda: DenseBlock(False)), 10, 0),
    "DenseNet, nested": (pictures(lambda: DenseBlock(True)), 4, 0),
    "hourglass": (pictures(lambda: nn.Sequential(conv(3, 8), Hourglass(2))), 9, 2),
    "stacked hourglasses": (
        pictures(lambda: nn.Sequential(conv(3, 8), Hourglass(2), Hourglass(2))), 18, 4,
    ),
    "FPN": (pictures(Pyramid, 4, 3, 32, 32), 2, 2),
    "Inception": (pictures(Inception), 0, 0),
    "SE-ResNet": (
        pictures(lambda: nn.Sequential(conv(3, 8), Squeeze(False), Squeeze(True))), 2, 0,
    ),
    "NeRF": (pictures(Radiance, 64, 3), 1, 0),
    "DnCNN": (pictures(Noise), 1, 0),
    "functions written out": (pictures(ByHand, 4, 5, 8), 0, 0),
    "VAE": (pictures(Heads, 4, 8), 0, 0),
    "recurrence by hand": (pictures(Recurrent, 4, 5, 8), 0, 0),
    "scripted": (pictures(scripted), 0, 0),
    "LSTM": (pictures(lambda: nn.LSTM(8, 16, 2, bidirectional=True), 4, 5, 8), 0, 0),
    "GRU": (pictures(lambda: nn.GRU(8, 16, 2), 4, 5, 8), 0, 0),
    "encoder layer": (
        pictures(lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 4, 5, 16), 2, 0,
    ),
    "contrast, none": (contrast("no_skip", False), 0, 0),
    "contrast, zeros": (contrast("zero_skip", True), 4, 4),
    "contrast, source": (contrast("source_skip", False), 4, 4),
    "contrast, source in all": (contrast("source_skip", True), 8, 8),
    "contrast, target": (contrast("target_skip", False), 4, 4),
    "contrast, dropped": (contrast("skip_dropout", True), 8, 8),
    "course: resnet": (
        pictures(lambda: resnet.ResNet(14, 4, residual=True), 4, 1, 14, 14), 6, 0,
    ),
    "course: vit": (pictures(lambda: vit.ViT(vit.Recipe()), 4, 1, 28, 28), 4, 0),
    "course: segmentation": (
        pictures(lambda: segmentation.UNet(4, True), 4, 3, 32, 32), 3, 3,
    ),
    "course: segmentation without": (
        pictures(lambda: segmentation.UNet(4, False), 4, 3, 32, 32), 0, 0,
    ),
    "course: inpainting": (pictures(lambda: inpainting.ContextEncoder(4), 4, 1, 28, 28), 0, 0),
    "course: mae": (masked, 6, 0),
    "course: diffusion": (noised(diffusion.NoiseNet, diffusion.SIZE), 4, 0),
    "course: rectified flow": (
        noised(rectified_flow.Velocity, rectified_flow.SIZE, True), 4, 0,
    ),
    "course: transformer_lm": (
        lambda: (transformer_lm.Transformer(transformer_lm.Recipe()),
                 (torch.randint(20, (4, 12)),)), 4, 0,
    ),
}  # fmt: skip
