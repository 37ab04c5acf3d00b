"""Context: what a network sees of its canvas, whether it knows where it is, what it starts from.

Each training ends with the probe that measures it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from trainings import healthy, sick
from trainings.automata import CHANNELS, Automaton, ring, seed
from trainings.digits import IMAGES

SIDE = 24


def convolutions(inputs: int = 1, outputs: int = 1, depth: int = 3, width: int = 16) -> nn.Module:
    """3 x 3 convolutions: the field is 2 * depth + 1 cells wide."""
    layers: list[nn.Module] = []
    for i in range(depth - 1):
        layers += [nn.Conv2d(width if i else inputs, width, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, outputs, 3, padding=1))


class Placed(nn.Module):
    """A network that is handed row and column beside its input."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        sides = [torch.linspace(-1, 1, side) for side in x.shape[2:]]
        places = torch.stack(torch.meshgrid(*sides, indexing="ij"))
        return self.net(torch.cat([x, places.expand(len(x), -1, -1, -1)], 1))


def texture(count: int, side: int = SIDE) -> Tensor:
    """Smooth noise, the same everywhere on the canvas."""
    return F.avg_pool2d(torch.randn(count, 1, side + 2, side + 2), 3, 1) * 2


def far() -> Tensor:
    """The distance from the middle, 0 to about 1."""
    row = torch.linspace(-1, 1, SIDE)
    return (row[:, None] ** 2 + row[None] ** 2).sqrt() / 1.5


def map_to(x: Tensor, y: Tensor, net: nn.Module, steps: int = 150, rate: float = 3e-3) -> None:
    """Pictures to pictures by least squares; then `position` looks."""
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(steps):
        chosen = torch.randint(0, len(x), (16,))
        loss = F.mse_loss(net(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 64, 16)]
    more = {"only": ["position"], "batches": batches[1:]}
    unstuck.probe(net, batches[0], F.mse_loss, optimizer, **more)


@sick("CTX003")
def shaded_without_places():
    """Light falls in from one side, whatever the picture shows."""
    x = texture(256)
    map_to(x, 0.5 * x + torch.linspace(-1, 1, SIDE)[:, None], convolutions())


@sick("CTX003")
def vignetted_without_places():
    """A lens darkens and brightens with the distance from the middle."""
    x = texture(256) + 1
    map_to(x, x * (1.5 - 2 * far()), convolutions(width=24), rate=2e-3)


@healthy
def shaded_with_places():
    x = texture(256)
    y = 0.5 * x + torch.linspace(-1, 1, SIDE)[:, None]
    map_to(x, y, Placed(convolutions(3)), steps=250, rate=5e-3)


@healthy
def vignetted_with_places():
    x = texture(256) + 1
    map_to(x, x * (1.5 - 2 * far()), Placed(convolutions(3, width=24)), steps=250)


@healthy
def cleaned_texture():
    """Nothing of the answer depends on the place."""
    y = texture(256)
    map_to(y + 0.5 * torch.randn_like(y), y, convolutions())


@healthy
def cleaned_digits():
    """All of them stand in the middle: the place tells something, but the picture shows it."""
    y = F.interpolate(IMAGES[:256].view(-1, 1, 8, 8), size=SIDE, mode="bilinear")
    y = (y - y.mean()) / y.std()
    map_to(y + 0.5 * torch.randn_like(y), y, convolutions())


def stripes(count: int, side: int) -> Tensor:
    """Waves of one direction, length and phase a picture."""
    angle, wave, phase = (torch.rand(count, 1, 1) for _ in range(3))
    row = torch.arange(side).float()
    along = torch.cos(6.3 * angle) * row[:, None] + torch.sin(6.3 * angle) * row[None]
    return torch.sin(6.3 * (along / (9 + 5 * wave) + phase))[:, None]


def holed(count: int, side: int, hole: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures with a hole in the middle, where the hole is, and the whole pictures."""
    y = stripes(count, side)
    mask = torch.zeros_like(y)
    first = (side - hole) // 2
    mask[..., first : first + hole, first : first + hole] = 1
    return y * (1 - mask), mask, y


def fill(hole: int, steps: int = 250) -> None:
    """Fill small holes of crops; `hole` is the size of those on the full canvas."""
    net = convolutions(2, depth=7)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        x, mask, y = batch
        return ((model(torch.cat([x, mask], 1)) - y).square() * mask).sum() / mask.sum()

    for _ in range(steps):
        value = loss(net, holed(16, 16, 4))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    full = holed(16, 48, hole)
    unstuck.probe(net, holed(16, 16, 4), loss, optimizer, only=["keyhole", "horizon"], full=full)


@sick("CTX002")
def filled_small_holes_where_large_ones_wait():
    fill(hole=24)


@healthy
def filled_small_holes_on_any_canvas():
    fill(hole=4)


class Summing(nn.Module):
    """Convolutions, and a sum along each row that reaches as far as there is canvas."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = convolutions(1, 4, 2), convolutions(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(torch.cat([x, self.before(x).cumsum(3) / 10], 1))


def sum_up(net: nn.Module, steps: int = 250) -> None:
    """How much lies to the left of each cell: within a crop, and on the full canvas."""

    def made(count: int, side: int) -> tuple[Tensor, Tensor]:
        x = texture(count, side)
        return x, x.cumsum(3) / 3

    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(steps):
        x, y = made(16, 12)
        loss = F.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    only = ["keyhole", "horizon"]
    unstuck.probe(net, made(16, 12), F.mse_loss, optimizer, only=only, full=made(16, 64))


@sick("CTX002")
def summed_within_crops():
    sum_up(convolutions(depth=7))


@healthy
def summed_along_the_canvas():
    sum_up(Summing())


class Sharp(Automaton):
    """A rule that sees how far its cells are from a level, many times magnified."""

    def __init__(self, level: float, gain: float) -> None:
        super().__init__()
        self.look = nn.Conv2d(
            *(CHANNELS, 3 * CHANNELS, 3), padding=1, groups=CHANNELS, bias=False,
            padding_mode="circular",
        )  # fmt: skip
        self.level, self.gain = level, gain

    def forward(self, x: Tensor) -> Tensor:
        seen = self.look(torch.tanh(self.gain * (x - self.level)))
        fires = torch.rand(x.shape[0], 1, *x.shape[2:]) < 0.7
        return x + self.act(F.relu(self.think(seen))) * fires


def build(rule: nn.Module, state: Tensor, target: Tensor, calls: int, steps: int = 250) -> None:
    """Rollouts from the same first state each time; then it is disturbed."""
    optimizer = torch.optim.Adam(rule.parameters(), lr=5e-3)

    def advance(x: Tensor, count: int) -> Tensor:
        for _ in range(count):
            x = rule(x)
        return x

    def error(x: Tensor) -> Tensor:
        return (x[:, :2] - target[: len(x)]).square().mean((1, 2, 3))

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return error(advance(batch, calls)).mean()

    for _ in range(steps):
        value = loss(rule, state)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(rule.parameters(), 1.0)
        optimizer.step()
    rollout = unstuck.Rollout(state, advance, calls, error)
    unstuck.probe(rule, state, loss, optimizer, only=["seed-and-damage"], rollout=rollout)


def film(size: float, level: float, kinds: int = 1) -> Tensor:
    """Noise that tells each cell where it is, about a level: 2 of each kind."""
    return (level + size * torch.randn(kinds, CHANNELS, 16, 16)).repeat_interleave(2, 0)


def discs(*radii: float) -> Tensor:
    return torch.stack([ring(16, r) for r in radii]).repeat_interleave(2, 0)


@sick("CTX005")
def built_on_a_film_of_tiny_noise():
    """Where a cell is it tells by a difference of 2 %."""
    build(Sharp(1.0, 20.0), film(0.02, 1.0), discs(5), calls=8)


@sick("CTX005")
def built_on_two_films_told_apart_by_a_hair():
    build(Sharp(1.0, 30.0), film(0.015, 1.0, 2), discs(3, 6), calls=7)


@healthy
def built_on_a_film_of_strong_noise():
    build(Sharp(0.0, 1.0), film(1.0, 0.0), discs(5), calls=8)


@healthy
def built_on_two_films_of_strong_noise():
    build(Sharp(0.0, 1.0), film(1.0, 0.0, 2), discs(3, 6), calls=7)


@healthy
def built_from_a_seed():
    build(Automaton(), seed(2, 16), discs(5), calls=9)
