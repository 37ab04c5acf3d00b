"""What becomes of numbers on their way through many layers: growth, decay, saturation."""

import torch
import torch.nn.functional as F
from torch import nn

from trainings import healthy, sick
from trainings.digits import batches, step


def stack(depth, activation, *, std, width=64, norm=False):
    """Plain layers of normal weights of spread `std / sqrt(width)`; None keeps PyTorch's own."""
    layers = []
    for i in range(depth):
        layers.append(nn.Linear(64 if i == 0 else width, width))
        layers += [nn.BatchNorm1d(width)] if norm else []
        layers.append(activation())
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    for layer in model:
        if std and isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=std / layer.in_features**0.5)
            nn.init.zeros_(layer.bias)
    return model


def classify(model, optimizer, *, steps=300, scale=1.0):
    for x, y in batches(32, steps):
        step(optimizer, F.cross_entropy(model(scale * x), y))


@sick("GRD002")
def tanh_of_large_weights():
    """Twenty layers in which small differences grow: gradients grow the same on the way back."""
    model = stack(20, nn.Tanh, std=5.0)
    nn.init.normal_(model[-1].weight, std=0.05)
    classify(model, torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9))


@sick("GRD002")
def fifty_normalised_layers():
    """Batch normalisation without a way around: each layer multiplies the gradient."""
    model = stack(50, nn.ReLU, std=None, width=32, norm=True)
    classify(model, torch.optim.SGD(model.parameters(), lr=1e-3), steps=100)


@healthy
def tanh_of_fitting_weights():
    model = stack(8, nn.Tanh, std=1.0)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9))


@healthy
def eight_normalised_layers():
    model = stack(8, nn.ReLU, std=None, norm=True)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9))


@sick("INI002")
def weights_of_a_hundredth():
    """Ten layers of weights of .01, as older tutorials have it: the signal is gone half way."""
    model = stack(10, nn.ReLU, std=0.08)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))


@sick("INI002")
def convolutions_of_a_hundredth():
    layers = [nn.Unflatten(1, (1, 8, 8))]
    for i in range(8):
        layers += [nn.Conv2d(16 if i else 1, 16, 3, padding=1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 10))
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
    classify(model, torch.optim.Adam(model.parameters(), lr=1e-4), steps=150)


@sick("INI002")
def relu_of_large_weights():
    """Twelve layers that each triple the signal."""
    model = stack(12, nn.ReLU, std=4.0)
    classify(model, torch.optim.Adam(model.parameters(), lr=1e-4))


@healthy
def relu_of_fitting_weights():
    model = stack(12, nn.ReLU, std=2**0.5)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9))


@healthy
def convolutions_in_eight_layers():
    layers = [nn.Unflatten(1, (1, 8, 8))]
    for i in range(8):
        layers += [nn.Conv2d(16 if i else 1, 16, 3, padding=1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 10))
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    classify(model, torch.optim.Adam(model.parameters(), lr=1e-3), steps=150)


@sick("ACT002")
def tanh_without_slope():
    """Six hidden layers whose sums are fifty times too large for a tanh."""
    model = stack(6, nn.Tanh, std=60.0)
    nn.init.normal_(model[-1].weight, std=0.05)
    classify(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9))


@sick("ACT002")
def sigmoids_of_raw_sums():
    """Features of a fixed sum, never divided by their number, into a sigmoid."""

    class Summed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
            nn.init.normal_(self.mix.weight, std=20.0)

        def forward(self, x):
            return self.head(torch.sigmoid(self.mix(x - 0.3)))

    model = Summed()
    classify(model, torch.optim.SGD(model.parameters(), lr=0.01), steps=200)


@healthy
def sigmoids_of_fitting_sums():
    model = nn.Sequential(nn.Linear(64, 64), nn.Sigmoid(), nn.Linear(64, 10))
    classify(model, torch.optim.Adam(model.parameters(), lr=5e-3))


@healthy
def gates_that_open_and_close():
    """A gated layer: sigmoids that go to their ends because that is what they learn."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value, self.gate = nn.Linear(64, 64), nn.Linear(64, 64)
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            return self.head(torch.tanh(self.value(x)) * torch.sigmoid(4 * self.gate(x)))

    model = Gated()
    classify(model, torch.optim.Adam(model.parameters(), lr=1e-2))


@healthy
def codes_near_their_ends():
    """Binary codes: a tanh that is driven to its ends on purpose, and a layer that reads them."""

    class Hashed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 24))
            self.read = nn.Linear(24, 10)

        def forward(self, x):
            code = torch.tanh(self.body(x))
            return code, self.read(code)

    model = Hashed()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for x, y in batches(32, 400):
        code, out = model(x)
        label = F.cross_entropy(out, y)
        ends = (1 - code.abs()).mean()
        loss = label + 0.5 * ends
        step(optimizer, loss)
