"""Small models of eight kinds with their batches, losses and optimizers, to count the memory of."""

import contextlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from unstuck import Subject

Made = Callable[[int], Subject]  # of a number of samples


def mlp(n: int) -> Subject:
    net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(),
                        nn.Linear(256, 10))  # fmt: skip
    return _classified(net, torch.randn(n, 64), SGD(net.parameters(), 0.01))


def cnn(n: int) -> Subject:
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 64, 10),
    )  # fmt: skip
    return _classified(net, torch.randn(n, 3, 32, 32), SGD(net.parameters(), 0.01, momentum=0.9))


class Block(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c_in, c_out, 3, 2, 1, bias=False), nn.BatchNorm2d(c_out)
        self.conv2, self.bn2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False), nn.BatchNorm2d(c_out)
        self.short = nn.Conv2d(c_in, c_out, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.short(x))


def resnet(n: int) -> Subject:
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), Block(16, 32), Block(32, 64), Block(64, 128),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = SGD(net.parameters(), 0.01, momentum=0.9)
    return _classified(net, torch.randn(n, 3, 32, 32), optimizer)


class UNet(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        sizes = pairwise([3, width, 2 * width, 4 * width])
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in sizes)
        self.up = nn.ModuleList(
            nn.Conv2d(2 * c, c // 2, 3, padding=1) for c in (4 * width, 2 * width)
        )
        self.middle, self.out = (
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            nn.Conv2d(width, 3, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for conv in self.down:
            x = F.relu(conv(x))
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = F.relu(self.middle(x))
        for conv in self.up:
            x = F.relu(conv(torch.cat([F.interpolate(x, scale_factor=2), skips.pop()], 1)))
        return self.out(F.interpolate(x, scale_factor=2))


def unet(n: int) -> Subject:
    net = UNet()
    batch = (torch.rand(n, 3, 32, 32), torch.rand(n, 3, 32, 32))
    return Subject(net, batch, F.l1_loss, Adam(net.parameters(), 1e-3))


class ViT(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 8, 8)
        self.place = nn.Parameter(torch.randn(16, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 128, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2) + self.place
        return self.head(self.body(tokens).mean(1))


def vit(n: int) -> Subject:
    net = ViT()
    return _classified(net, torch.randn(n, 3, 32, 32), AdamW(net.parameters(), 1e-3))


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(100, 32), nn.Linear(64, 5)
        self.gru = nn.GRU(32, 64, num_layers=2, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.gru(self.embed(tokens))[0][:, -1])


def gru(n: int) -> Subject:
    net = Reader()
    batch = (torch.randint(100, (n, 40)), torch.randint(5, (n,)))
    return Subject(net, batch, F.cross_entropy, Adam(net.parameters(), 1e-3))


def language(n: int) -> Subject:
    """A transformer of `transformers` from a small configuration; its loss is its own."""
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64, "vocab_size": 200}
    net = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
    net.config.use_cache = False

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Any:
        return model(**batch, labels=batch["input_ids"]).loss

    batch = {"input_ids": torch.randint(200, (n, 48))}
    return Subject(net, batch, loss, AdamW(net.parameters(), 1e-3))


def generator(n: int) -> Subject:
    """A GAN's generator; its loss holds the discriminator."""
    net = nn.Sequential(
        nn.ConvTranspose2d(32, 64, 4), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    judge = nn.Sequential(nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, 2, 1),
                          nn.LeakyReLU(0.2), nn.Conv2d(64, 1, 8))  # fmt: skip

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return F.softplus(-judge(model(batch))).mean()

    return Subject(net, torch.randn(n, 32, 1, 1), loss, Adam(net.parameters(), 2e-4))


def _classified(net: nn.Module, inputs: Tensor, optimizer: torch.optim.Optimizer) -> Subject:
    return Subject(net, (inputs, torch.randint(10, (len(inputs),))), F.cross_entropy, optimizer)


MODELS: dict[str, Made] = {
    "MLP": mlp, "CNN": cnn, "ResNet": resnet, "U-net": unet,
    "ViT": vit, "GRU": gru, "GPT-2": language, "GAN generator": generator,
}  # fmt: skip


def measured_peak(
    make: Made, samples: int, forward: Callable[[], Any] = contextlib.nullcontext
) -> int:
    """Bytes at the peak of the third training step, counted from before the model was built.

    Sums up the allocations and releases that torch's profiler reports: those of every kernel.
    `forward()` is entered around the loss.
    """
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        subject = make(samples)
        optimizer = subject.optimizer
        for step in range(3):
            with torch.profiler.record_function(f"step {step}"):
                optimizer.zero_grad()
                with forward():
                    loss = subject.value()
                loss.backward()
                del loss
                optimizer.step()
    events = profile.profiler.kineto_results.events()
    begins = next(e.start_ns() for e in events if e.name() == "step 2")
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    alive = most = 0
    for when, change in changes:
        alive += change
        most = max(most, alive) if when >= begins else most
    return most
