"""What looking closely may cost, and when a run is looked at closely again."""

import time

import pytest
import torch
from torch import nn

import unstuck
from unstuck.watcher.budget import GRACE, Budget
from unstuck.watcher.noise import MEMORY, Noise
from unstuck.watcher.schedule import DENSE, REST, Schedule, looks_at_layers, looks_at_terms


def sampled(schedule, steps, cost=0.0):
    """The steps looked at, and those by term, of a run whose looks take `cost` seconds each."""
    layers, terms = [], []
    for step in range(steps):
        schedule.begin(step)
        if schedule.layers:
            layers.append(step)
            schedule.spend(cost)
        if schedule.terms:
            terms.append(step)
    return layers, terms


def test_without_a_budget_the_step_alone_decides():
    layers, terms = sampled(Schedule(), 3000, cost=100.0)
    assert layers == [s for s in range(3000) if looks_at_layers(s)]
    assert terms == [s for s in range(3000) if looks_at_terms(s)]


def test_a_cheap_run_is_read_by_the_fixed_schedule_whole():
    assert sampled(Schedule(Budget(0.02)), 3000) == sampled(Schedule(), 3000)


def test_a_dear_one_is_read_at_its_start_and_then_hardly():
    budget = Budget(0.02)
    layers, _ = sampled(Schedule(budget), 3000, cost=GRACE / 8)
    assert layers[:DENSE] == list(range(DENSE))
    assert len(layers) == 9
    assert budget.spent < GRACE * 1.2


def test_more_is_read_as_time_passes(monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    schedule = Schedule(Budget(0.02))
    few, _ = sampled(schedule, 800, cost=GRACE / 8)
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    layers = [s for s in range(800, 1600) if (schedule.begin(s), schedule.layers)[1]]
    assert len(few) == 9
    assert layers == [s for s in range(800, 1600) if looks_at_layers(s)]


def test_a_look_by_term_that_was_due_is_made_up_for(monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    schedule = Schedule(Budget(0.02))
    sampled(schedule, 60, cost=GRACE)
    monkeypatch.setattr(time, "monotonic", lambda: now + 1000)
    assert not looks_at_terms(64)
    schedule.begin(64)
    assert schedule.layers and schedule.terms


def test_what_moves_is_looked_at_closely_once_in_a_while():
    schedule = Schedule(Budget(0.02))
    schedule.begin(1000)
    schedule.move(1000)
    assert all(schedule.coming(s)[0] for s in range(1001, 1001 + DENSE))
    schedule.move(1100)
    assert not schedule.coming(1101)[0]
    schedule.move(1000 + REST)
    assert schedule.coming(1001 + REST)[0]


def test_a_second_stage_is_looked_at_from_its_first_steps(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    with unstuck.watch(out=tmp_path / "run", budget=0.5):
        for rate in (1e-3, 1e-1):
            optimizer = torch.optim.SGD(model.parameters(), lr=rate)
            for _ in range(300):
                loss = model(torch.randn(8, 4)).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    steps = unstuck.load(tmp_path / "run").series["update_ratio/optimizer.2"].step
    assert len(set(range(300, 310)) & set(steps.tolist())) >= DENSE


def test_a_loss_out_of_its_noise_is_noticed_and_noise_is_not():
    noise, rng = Noise(), torch.Generator().manual_seed(0)
    values = torch.randn(5000, generator=rng).add(10).tolist()
    assert not any(noise.left("loss", v) for v in values)
    assert noise.left("loss", 40.0)
    assert noise.left("loss", float("nan"))
    assert not any(Noise().left("new", v) for v in [1.0, 9.0, 1e9][: MEMORY - 1])


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_a_budget_that_is_no_share_is_refused(share, tmp_path):
    with pytest.raises(ValueError, match="share"):
        unstuck.watch(out=tmp_path / "run", budget=share)
