"""What a cellular automaton cannot reach is found by its radius, and only there."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from loops import state
from torch import nn

import unstuck


class Rule(nn.Module):
    """One step: cells near live ones may change, a colour and a life for each."""

    def __init__(self, kernel=3):
        super().__init__()
        self.see = nn.Conv2d(4, 16, kernel, padding=kernel // 2, bias=False)
        self.act = nn.Conv2d(16, 4, 1, bias=False)

    def forward(self, x):
        return x + 0.1 * self.act(self.see(x).tanh())


class Rollout(nn.Module):
    def __init__(self, steps):
        super().__init__()
        self.rule, self.steps = Rule(), steps

    def forward(self, x):
        for _ in range(self.steps):
            x = self.rule(x)
        return x


def seeded(size=31):
    x = torch.zeros(2, 4, size, size)
    x[:, :, size // 2, size // 2] = 1
    return x


def growing(make, calls, steps=5, keep=None):
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    target = torch.rand(2, 4, 31, 31)
    for _ in range(steps):
        x = seeded()
        for _ in range(calls):
            x = model(x)
        loss = F.mse_loss(x, target)
        if keep is not None:
            keep.append((x - target).detach().abs().sum(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return state([model], [optimizer])


@pytest.mark.parametrize(
    ("make", "calls", "horizon"),
    [
        (Rule, 5, 5),
        (lambda: Rule(5), 4, 8),
        (lambda: Rollout(6), 1, 6),
    ],
)
def test_the_error_beyond_the_horizon(tmp_path, make, calls, horizon):
    errors = []
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        growing(make, calls, keep=errors)
    record = unstuck.load(run.path)
    assert record.facts["horizon/model"] == horizon and record.facts["canvas/model"] == 31
    row = torch.arange(31)
    far = (row - 15).abs()
    beyond = torch.maximum(far[:, None], far[None]) > horizon
    found = record.series["horizon/model/beyond"]
    assert len(found) == 5
    for step, value in zip(found.step, found.value, strict=True):
        twin = errors[step][:, beyond].sum() / errors[step].sum()
        assert value == pytest.approx(float(twin), rel=1e-3)


def test_nothing_is_said_of_a_network_that_is_called_once(tmp_path):
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        growing(Rule, 1)
    assert not unstuck.load(run.path).matching("horizon/*")


def test_nothing_is_said_where_news_can_travel_anywhere(tmp_path):
    class Pyramid(Rule):
        def forward(self, x):
            coarse = F.interpolate(F.avg_pool2d(x, 4), x.shape[-2:])
            return super().forward(x + 0.1 * coarse)

    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        growing(Pyramid, 5)
    assert not unstuck.load(run.path).matching("horizon/*")


@dataclass
class Said:
    state: torch.Tensor


class Saying(Rule):
    """Gives an object, as some models do, and a dict at times."""

    def forward(self, x):
        new = super().forward(x)
        return {"state": new} if x.sum() > 9 else Said(new)


def test_a_model_may_give_an_object(tmp_path, capsys):
    torch.manual_seed(0)
    rule = Saying()
    optimizer = torch.optim.Adam(rule.parameters(), lr=1e-3)
    with unstuck.watch(out=tmp_path / "run", budget=None):
        for _ in range(3):
            x = seeded()
            for _ in range(5):
                said = rule(x)
                x = said["state"] if isinstance(said, dict) else said.state
            optimizer.zero_grad()
            x.square().mean().backward()
            optimizer.step()
    assert "gave up" not in capsys.readouterr().err


def test_watching_changes_no_bit(tmp_path):
    alone = growing(Rule, 5)
    with unstuck.watch(out=tmp_path / "run", budget=None):
        watched = growing(Rule, 5)
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
