"""Two views or two domains: contrastive learning, consistency terms, collapse of the latent."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.digits import batches


def views(x: Tensor) -> tuple[Tensor, Tensor]:
    """Two noisy, shifted forms of each digit."""
    x = x.view(-1, 8, 8)
    moved = [torch.roll(x, (int(a), int(b)), (1, 2)) for a, b in torch.randint(-1, 2, (2, 2))]
    return tuple((m + 0.2 * torch.randn_like(m)).flatten(1) for m in moved)


def network(out: int = 32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, out))


@healthy
def contrastive():
    encoder = network()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    for x, _ in batches(64, 400):
        a, b = (F.normalize(encoder(v), dim=1) for v in views(x))
        loss = F.cross_entropy(a @ b.T / 0.2, torch.arange(len(x)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def contrastive_warm_temperature():
    encoder = network()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    for x, _ in batches(128, 400):
        a, b = (F.normalize(encoder(v), dim=1) for v in views(x))
        loss = F.cross_entropy(a @ b.T / 0.5, torch.arange(len(x)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def siamese(stop: bool):
    """A consistency term alone, with or without a predictor and a target that is not pulled."""
    encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
    predictor = nn.Sequential(nn.Linear(32, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 32))
    parameters = [*encoder.parameters(), *predictor.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.05 if stop else 0.5, momentum=0.9)
    for x, _ in batches(64, 400):
        za, zb = (encoder(v) for v in views(x))
        if stop:
            alike = F.cosine_similarity(predictor(za), zb.detach()).mean() / 2
            alike = alike + F.cosine_similarity(predictor(zb), za.detach()).mean() / 2
            loss = 1 - alike
        else:
            loss = F.mse_loss(za, zb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def variance_invariance_covariance():
    encoder = network()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    for x, _ in batches(64, 400):
        za, zb = (encoder(v) for v in views(x))
        invariance = F.mse_loss(za, zb)
        variance = sum(F.relu(1 - z.std(0)).mean() for z in (za, zb))
        centred = [z - z.mean(0) for z in (za, zb)]
        squares = [(z.T @ z / len(z)).fill_diagonal_(0).square().sum() / 32 for z in centred]
        covariance = squares[0] + squares[1]
        loss = 25 * invariance + 25 * variance + covariance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def tissues(count: int) -> tuple[Tensor, Tensor]:
    """The same random smooth anatomy of four tissues in two contrasts, (count, 1, 16, 16)."""
    maps = F.interpolate(torch.randn(count, 4, 4, 4), 16, mode="bilinear").argmax(1)
    a, b = torch.tensor([0.2, 0.9, 0.5, 0.0])[maps], torch.tensor([0.7, 0.1, 0.6, 0.3])[maps]
    return a[:, None] + 0.05 * torch.randn(count, 1, 16, 16), b[:, None]


def double(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(4, outputs), nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, 1, 1), nn.GroupNorm(4, outputs), nn.ReLU(),
    )  # fmt: skip


def translate(content_weight: float, steps: int = 250, rate: float = 1e-3):
    """One encoder for two contrasts, a decoder for each, no skips."""
    model = nn.ModuleDict()
    model["encoder"] = nn.Sequential(double(1, 12), double(12, 24, 2), nn.Conv2d(24, 16, 1))
    for domain in "ab":
        up = nn.ConvTranspose2d(16, 12, 4, 2, 1)
        model[f"to_{domain}"] = nn.Sequential(up, double(12, 12), nn.Conv2d(12, 1, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    for _ in range(steps):
        a, b = tissues(4)
        za, zb = model["encoder"](a), model["encoder"](b)
        content = F.l1_loss(za, zb)
        recon = F.l1_loss(model["to_a"](za), a) + F.l1_loss(model["to_b"](zb), b)
        cross = F.l1_loss(model["to_b"](za), b) + F.l1_loss(model["to_a"](zb), a)
        loss = content_weight * content + 0.05 * recon + cross
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@sick("COL004")
def content_term_collapses():
    translate(content_weight=1.0)


@sick("COL004")
def content_term_collapses_slowly():
    translate(content_weight=2.0, steps=400, rate=3e-4)


@healthy
def content_term_light():
    translate(content_weight=0.02)


@healthy
def no_content_term():
    translate(content_weight=0.0)


@sick("COL004")
def siamese_without_stop_gradient():
    siamese(stop=False)


@healthy
def siamese_with_stop_gradient():
    siamese(stop=True)
