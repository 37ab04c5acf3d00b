"""Optimisers with the wrong steps: spikes, surprising starts, no warm-up, clipping, slow rates."""

import random

import torch
import torch.nn.functional as F
from torch import nn

from trainings import healthy, healthy_with, sick
from trainings.digits import batches, convolutions, perceptron, step


def now_and_then(share: float, steps: int, seed: int = 5) -> set[int]:
    """Steps at random, each the first of two in a row."""
    chance = random.Random(seed)
    return {s + i for s in range(steps) if chance.random() < share for i in (0, 1)}


@sick("OPT005")
def some_batches_in_other_units():
    """Every now and then two batches whose pixels were not divided by their range."""
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    odd = now_and_then(0.015, 800)
    for t, (x, y) in enumerate(batches(32, 800)):
        step(optimizer, F.cross_entropy(model(x * (100.0 if t in odd else 1.0)), y))


@sick("OPT005")
def slips_in_the_targets():
    """A regression in which a value is now and then typed without its decimal point."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    odd = now_and_then(0.015, 800)
    for t, (x, _) in enumerate(batches(32, 800)):
        target = 4 * x.mean(1) + 0.2 * torch.randn(len(x))
        target[0] *= 10.0 if t in odd else 1.0
        step(optimizer, F.mse_loss(model(x).squeeze(1), target))


@healthy
def samples_of_heavy_tails():
    """A regression whose targets have noise with heavy tails (Student, 3 degrees of freedom)."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    noise = torch.distributions.StudentT(3.0)
    for x, _ in batches(8, 1000):
        target = 4 * x.mean(1) + 0.2 * noise.sample((len(x),))
        step(optimizer, F.mse_loss(model(x).squeeze(1), target))


@healthy
def one_sample_at_a_time():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches(1, 1500):
        step(optimizer, F.cross_entropy(model(x), y))


@healthy
def harder_pictures_by_stages():
    """A curriculum: less and less light, from one stage to the next."""
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for t, (x, y) in enumerate(batches(32, 1000)):
        noise = 0.3 * (t // 200) * torch.randn_like(x)
        step(optimizer, F.cross_entropy(model(x + noise), y))


class PostNorm(nn.Module):
    """A transformer that reads a digit row by row and normalises after each sum."""

    def __init__(self, depth: int, width: int = 64, norm_first: bool = False) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(torch.randn(8, width) * 0.02)
        self.blocks = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    width, 4, 2 * width, 0.0, batch_first=True, norm_first=norm_first
                )
                for _ in range(depth)
            )
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        rows = self.embed(x.view(-1, 8, 8)) + self.position
        return self.head(self.blocks(rows).mean(1))


def read_rows(model, optimizer, *, warmup, steps=300):
    rise = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 1) / warmup))
    for x, y in batches(32, steps):
        step(optimizer, F.cross_entropy(model(x), y))
        rise.step()


@sick("OPT007", optimizer="AdamW", num_heads=4)
def post_norm_at_full_rate():
    model = PostNorm(depth=8)
    read_rows(model, torch.optim.AdamW(model.parameters(), lr=5e-3), warmup=1)


@healthy_with(optimizer="AdamW", num_heads=4)
def post_norm_warmed_up():
    model = PostNorm(depth=8)
    read_rows(model, torch.optim.AdamW(model.parameters(), lr=5e-3), warmup=100)


@sick("OPT007", optimizer="RMSprop", num_heads=4)
def post_norm_at_full_rate_rmsprop():
    model = PostNorm(depth=4)
    read_rows(model, torch.optim.RMSprop(model.parameters(), lr=3e-3), warmup=1)


@healthy_with(optimizer="RMSprop", num_heads=4)
def post_norm_warmed_up_rmsprop():
    model = PostNorm(depth=4)
    read_rows(model, torch.optim.RMSprop(model.parameters(), lr=3e-3), warmup=100)


@healthy_with(optimizer="AdamW", num_heads=4)
def pre_norm_at_full_rate():
    model = PostNorm(depth=4, norm_first=True)
    read_rows(model, torch.optim.AdamW(model.parameters(), lr=1e-3), warmup=1)


def clipped(model, lr, limit, *, steps=400, size=32):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for x, y in batches(size, steps):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), limit)
        optimizer.step()


@sick("OPT013", optimizer="SGD", max_grad_norm=0.01)
def clipped_to_a_hundredth():
    clipped(perceptron(), lr=0.05, limit=0.01)


@sick("OPT013", optimizer="SGD", max_grad_norm=0.01)
def convolutions_clipped_to_a_hundredth():
    clipped(convolutions(), lr=0.01, limit=0.01)


@sick("OPT013", optimizer="SGD", max_grad_norm=0.005)
def clipped_for_another_batch():
    """A limit that fitted the mean over a large batch."""
    clipped(perceptron(activation=nn.Tanh), lr=0.1, limit=0.005, size=4, steps=600)


@healthy_with(optimizer="SGD", max_grad_norm=1.0)
def clipped_now_and_then():
    clipped(perceptron(), lr=0.05, limit=1.0)


@healthy_with(optimizer="SGD", max_grad_norm=0.2)
def clipped_at_every_step():
    """Steps of one length are no harm where they are long enough."""
    clipped(convolutions(), lr=0.03, limit=0.2)


def slowly(model, optimizer, *, steps=500, size=256):
    for x, y in batches(size, steps):
        step(optimizer, F.cross_entropy(model(x), y))


@sick("OPT002")
def rate_of_a_few_millionths():
    model = perceptron()
    slowly(model, torch.optim.Adam(model.parameters(), lr=6e-6))


@sick("OPT002")
def rate_far_too_low_for_sgd():
    model = convolutions()
    slowly(model, torch.optim.SGD(model.parameters(), lr=2e-5, momentum=0.9), steps=300)


@sick("OPT002")
def transformer_at_a_millionth():
    model = PostNorm(depth=2, norm_first=True)
    slowly(model, torch.optim.AdamW(model.parameters(), lr=2e-6), steps=250)


@healthy
def rate_that_is_low_enough():
    model = perceptron()
    slowly(model, torch.optim.Adam(model.parameters(), lr=1e-4))


@healthy
def stopped_early():
    model = convolutions()
    slowly(model, torch.optim.SGD(model.parameters(), lr=2e-3), steps=80, size=64)


def classify(model, optimizer, *, steps=300, reduction="mean"):
    for x, y in batches(32, steps):
        cross_entropy = F.cross_entropy(model(x), y, reduction=reduction)
        optimizer.zero_grad()
        cross_entropy.backward()
        optimizer.step()


@sick("INI001", num_classes=10, batch_size=32)
def head_of_large_weights():
    model = perceptron()
    nn.init.normal_(model[-1].weight, std=30.0)
    classify(model, torch.optim.Adam(model.parameters(), lr=3e-3))


@sick("INI001", num_classes=10, batch_size=32)
def convolutions_with_a_large_head():
    model = convolutions()
    nn.init.normal_(model[-1].weight, std=3.0)
    classify(model, torch.optim.AdamW(model.parameters(), lr=1e-2))


@sick("INI001", num_classes=10, batch_size=32)
def weights_of_unit_spread():
    """Normal numbers without a scale, as `torch.randn` gives them, for every layer."""
    model = perceptron(activation=nn.Tanh, width=256)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9))


@healthy_with(num_classes=10, batch_size=32)
def convolutions_with_a_head_of_zeros():
    model = convolutions()
    nn.init.zeros_(model[-1].weight)
    classify(model, torch.optim.AdamW(model.parameters(), lr=1e-2))


@healthy_with(num_classes=10, batch_size=32)
def normalised_and_summed():
    """A loss that falls fast from 32 log 10: nothing in it surprises."""
    model = convolutions()
    classify(model, torch.optim.Adam(model.parameters(), lr=5e-3), reduction="sum")


@healthy_with(num_classes=10, batch_size=32)
def summed_over_the_batch():
    """A loss that begins at 32 log 10, as it should."""
    model = perceptron()
    classify(model, torch.optim.Adam(model.parameters(), lr=3e-3), reduction="sum")
