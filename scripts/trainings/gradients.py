"""Gradients and activations by layer: cut graphs, inert branches, explosions, drift, saturation."""

import torch
import torch.nn.functional as F
from torch import nn

from trainings import healthy, sick
from trainings.digits import IMAGES, batches, step


def classify(model, optimizer, *, steps=300, size=32, scale=1.0):
    for x, y in batches(size, steps):
        step(optimizer, F.cross_entropy(model(scale * x), y))


class Bottleneck(nn.Module):
    """A classifier through a code of a few numbers; `between` is what is done with the code."""

    def __init__(self, between, width=3) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, width))
        self.head = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 10))
        self.between = between

    def forward(self, x):
        return self.head(self.between(self.encoder(x)))


@sick("GRD004")
def code_through_numpy():
    """A round trip that costs the graph, so that the encoder stays random."""
    model = Bottleneck(lambda code: torch.from_numpy(code.detach().numpy() / 2))
    classify(model, torch.optim.Adam(model.parameters(), lr=3e-3))


@healthy
def code_with_its_graph():
    model = Bottleneck(lambda code: code / 2)
    classify(model, torch.optim.Adam(model.parameters(), lr=3e-3))


class Coder(nn.Module):
    """Pictures through a code of rounded numbers and back."""

    def __init__(self, rounded) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 6))
        self.up = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 64))
        self.rounded = rounded

    def forward(self, x):
        return self.up(self.rounded(4 * self.down(x)) / 4)


def rebuild(model, steps=400):
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for x, _ in batches(32, steps):
        pictures = (x - IMAGES.mean(0)) / (IMAGES.std(0) + 0.1)
        step(optimizer, F.mse_loss(model(pictures), pictures))


@sick("GRD004")
def code_rounded_without_a_way_back():
    rebuild(Coder(lambda code: code.detach().round()))


@healthy
def code_rounded_straight_through():
    rebuild(Coder(lambda code: code + (code.round() - code).detach()))


@sick("GRD004")
def stem_detached_between_two_models():
    """Features kept as data by mistake; both models are in the optimizer."""
    stem = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 2, 5, stride=3), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD([*stem.parameters(), *head.parameters()], lr=0.1, momentum=0.9)
    for x, y in batches(32, 300):
        features = stem(x).data
        step(optimizer, F.cross_entropy(head(features), y))


@healthy
def probe_on_features():
    """A frozen random stem of many features, which is in nobody's optimizer, and a head."""
    stem, head = nn.Sequential(nn.Linear(64, 256), nn.ReLU()), nn.Linear(256, 10)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for x, y in batches(32, 300):
        step(optimizer, F.cross_entropy(head(stem(x).detach()), y))


@healthy
def predicted_views():
    """Two views of a picture; each predicts the other, whose side is cut on purpose (SimSiam)."""
    encoder = nn.Sequential(
        nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32), nn.BatchNorm1d(32)
    )
    predictor = nn.Sequential(nn.Linear(32, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 32))
    optimizer = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.05)
    for x, _ in batches(64, 300):
        one, other = (encoder(x + 0.2 * torch.randn_like(x)) for _ in range(2))
        left = -F.cosine_similarity(predictor(one), other.detach()).mean()
        right = -F.cosine_similarity(predictor(other), one.detach()).mean()
        step(optimizer, (left + right) / 2)


class Residual(nn.Module):
    """`x + scale * branch(x)`, as deep as wanted."""

    def __init__(self, scale, learned=False, width=48) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.branch = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.scale = nn.Parameter(torch.full((width,), scale)) if learned else scale

    def forward(self, x):
        return x + self.scale * self.branch(self.norm(x))


def residual(scale, learned=False, depth=4):
    blocks = (Residual(scale, learned) for _ in range(depth))
    return nn.Sequential(nn.Linear(64, 48), *blocks, nn.Linear(48, 10))


@sick("GRD003")
def residuals_scaled_to_nothing():
    """A factor that was meant as the start of a learned one and is a constant."""
    model = residual(1e-4)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), steps=500)


@healthy
def residuals_of_a_learned_scale():
    model = residual(1e-4, learned=True)
    classify(model, torch.optim.AdamW(model.parameters(), lr=1e-3), steps=500)


@healthy
def residuals_from_zero():
    model = residual(0.0, learned=True)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), steps=500)


@healthy
def residuals_in_full():
    model = residual(1.0)
    classify(model, torch.optim.AdamW(model.parameters(), lr=1e-3), steps=500)


class GraphNet(nn.Module):
    """A picture's pixels, and what two rounds over their neighbours make of them."""

    def __init__(self, std, width=64) -> None:
        super().__init__()
        self.pixels = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width))
        self.first = nn.Linear(1, 16, bias=False)
        self.second = nn.Linear(16, 8, bias=False)
        self.spread = nn.Linear(8 * 64, width, bias=False)
        self.head = nn.Linear(width, 10)
        at = torch.arange(64)
        near = ((at[:, None] // 8 - at // 8).abs() + (at[:, None] % 8 - at % 8).abs()) <= 1
        self.register_buffer("near", near / near.sum(1, keepdim=True))
        if std:
            for layer in (self.first, self.second, self.spread):
                nn.init.normal_(layer.weight, std=std)

    def forward(self, x):
        nodes = F.relu(self.first(self.near @ x[..., None]))
        nodes = F.relu(self.second(self.near @ nodes))
        return self.head(F.relu(self.pixels(x) + self.spread(nodes.flatten(1))))


@sick("GRD003")
def graph_branch_of_tiny_weights():
    """Three layers of weights of .0015 in a row: nothing comes out, and nothing comes back."""
    model = GraphNet(std=0.0015)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), steps=400)


@healthy
def graph_branch():
    model = GraphNet(std=None)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), steps=400)


@healthy
def graph_branch_of_small_weights():
    """Small enough to be slow at first, and it grows."""
    model = GraphNet(std=0.02)
    classify(model, torch.optim.Adam(model.parameters(), lr=3e-3), steps=400)
