"""Neural cellular automata: horizons that reach, horizons that do not, pools.

A rule grows a shape from a seed. Cells are alive where something near is; only these change.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.told import tell

CHANNELS = 8  # the first is life, the second brightness
SIZE = 20


class Automaton(nn.Module):
    """One step of the rule: every cell looks at its neighbours and adds what the rule says."""

    def __init__(self, reach: int = 1) -> None:
        super().__init__()
        width = 2 * reach + 1
        self.look = nn.Conv2d(
            CHANNELS, 3 * CHANNELS, width, padding=reach, groups=CHANNELS, bias=False
        )
        self.think = nn.Conv2d(3 * CHANNELS, 32, 1)
        self.act = nn.Conv2d(32, CHANNELS, 1, bias=False)
        nn.init.zeros_(self.act.weight)
        self.reach = reach

    def forward(self, x: Tensor) -> Tensor:
        before = self.alive(x)
        fires = torch.rand(x.shape[0], 1, *x.shape[2:]) < 0.7
        x = x + self.act(F.relu(self.think(self.look(x)))) * fires
        return x * (before & self.alive(x))

    def alive(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x[:, :1], 2 * self.reach + 1, 1, self.reach) > 0.1


def seed(count: int, size: int = SIZE) -> Tensor:
    x = torch.zeros(count, CHANNELS, size, size)
    x[:, :, size // 2, size // 2] = 1
    return x


def ring(size: int, radius: float) -> Tensor:
    """A filled disc with a bright rim, (2, size, size): life and brightness."""
    row = torch.arange(size) - size // 2
    far = (row[:, None] ** 2 + row[None] ** 2).float().sqrt()
    inside = (far <= radius).float()
    return torch.stack([inside, inside * (0.3 + 0.7 * (far > radius - 2).float())])


def grow(
    radius: float,
    calls: int,
    *,
    reach: int = 1,
    size: int = SIZE,
    steps: int = 130,
    rate: float = 5e-3,
    more: int = 0,
):
    """Rollouts of `calls` steps (up to `more` more) from the seed, judged at their end."""
    model, target = Automaton(reach), ring(size, radius)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        x = seed(2, size)
        for _ in range(calls + int(torch.randint(0, more + 1, ()))):
            x = model(x)
        loss = F.mse_loss(x[:, :2], target.expand(2, -1, -1, -1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@healthy
def grown_disc():
    grow(radius=5, calls=12)


@healthy
def grown_disc_by_wide_steps():
    grow(radius=8, calls=7, reach=2)


@healthy
def grown_small_disc_on_a_wide_canvas():
    """The canvas is far wider than the horizon, and there is nothing to be built out there."""
    grow(radius=4, calls=8, size=32)


@healthy
def grown_disc_in_rollouts_of_random_length():
    grow(radius=5, calls=9, more=6)


@sick("CTX001")
def grown_disc_too_large_for_its_steps():
    grow(radius=9, calls=5)


@sick("CTX001")
def grown_disc_too_large_for_wide_steps():
    grow(radius=13, calls=4, reach=2, size=30)


@sick("CTX001")
def grown_disc_too_large_for_random_rollouts():
    grow(radius=9, calls=4, more=2)


def persist(damaged: int = 0, size: int = 12, calls: int = 8, steps: int = 160):
    """Rollouts go on from a pool of earlier ones; the worst of a batch is sown anew."""
    model, target = Automaton(), ring(size, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    pool, held = seed(48, size), torch.full((48,), float("nan"))
    for _ in range(steps):
        chosen = torch.randperm(48)[:8]
        x = pool[chosen]
        errors = (x[:, :2] - target).square().mean((1, 2, 3))
        x[errors.argmax()] = seed(1, size)[0]
        for i in range(damaged):
            x[errors.argmin() if i == 0 else i, :, : size // 2] = 0
        for _ in range(calls):
            x = model(x)
        errors = (x[:, :2] - target).square().mean((1, 2, 3))
        loss = errors.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        pool[chosen], held[chosen] = x.detach(), errors.detach()
        if bool(held.isfinite().all()):
            tell("pool", held)


@healthy
def kept_disc():
    persist()


@healthy
def kept_disc_that_is_damaged():
    persist(damaged=2)
