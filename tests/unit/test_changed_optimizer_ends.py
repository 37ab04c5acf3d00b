"""What live changes of optimizers leave alone, put back and refuse."""

import pytest

pytest.importorskip("torch")

import torch
from changed_training import watched_losses
from torch import nn
from torch.nn import functional as F

import unstuck
from unstuck.changes import fact_of, refusal_of
from unstuck.watcher.interventions.clip import Clip

SCRIPT = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(6, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
x = torch.randn(32, 6)
losses = []
for step in range(6):
    def closure():
        optimizer.zero_grad()
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        return loss
    losses.append(optimizer.step(closure).item())
"""
LBFGS = SCRIPT.replace("SGD(net.parameters(), lr=0.05)", "LBFGS(net.parameters(), lr=0.5)")
ALL = {
    "lr": "x0.1",
    "warmup": 4,
    "schedule": "linear:3",
    "clip": 0.1,
    "weight_decay": 0.1,
    "interval": 2,
    "accumulation": 2,
    "zero_grad": "after-step",
    "finite": "only",
}


@pytest.mark.parametrize("kind", ["clip", "interval", "accumulation", "zero_grad", "finite"])
def test_a_step_that_evaluates_its_loss_several_times_is_refused(tmp_path, kind):
    name = f"{kind}/optimizer"
    losses, run = watched_losses(tmp_path, LBFGS, {name: ALL[kind]})
    assert len(losses) == 6
    reason = "a step of this optimizer evaluates its loss several times"
    assert run.facts[refusal_of(name)] == reason


def test_what_needs_one_evaluation_only_is_not_refused(tmp_path):
    plain, _ = watched_losses(tmp_path, LBFGS.replace("lr=0.5", "lr=0.05"), {})
    losses, run = watched_losses(tmp_path, LBFGS, {"lr/optimizer": "x0.1"})
    assert losses == plain
    assert run.facts[fact_of("lr/optimizer")] == 1
    assert not run.facts_matching("refused/*")


def test_a_value_that_an_optimizer_does_not_have_is_refused(tmp_path):
    _, run = watched_losses(tmp_path, LBFGS, {"weight_decay/optimizer": 0.1})
    assert run.facts[refusal_of("weight_decay/optimizer")] == "LBFGS has no weight_decay"
    assert fact_of("weight_decay/optimizer") not in run.facts


def test_an_optimizer_that_is_not_there_is_not_said_to_be_changed(tmp_path):
    plain, _ = watched_losses(tmp_path, SCRIPT, {})
    losses, run = watched_losses(tmp_path, SCRIPT, {f"{kind}/other": ALL[kind] for kind in ALL})
    assert losses == plain
    assert not run.facts_matching("changed/*")


def optimizers():
    made = [getattr(torch.optim, name) for name in sorted(torch.optim.__all__)]
    return [
        one
        for one in made
        if isinstance(one, type)
        and issubclass(one, torch.optim.Optimizer)
        and one is not torch.optim.Optimizer
    ]


@pytest.mark.parametrize("kind", optimizers(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("change", ["interval", "accumulation"])
def test_a_step_left_out_changes_neither_weights_nor_state(tmp_path, kind, change):
    """Every optimizer of torch, at the second of its steps (the first of a pair to be averaged)."""
    if kind is torch.optim.LBFGS:
        pytest.skip("evaluates its loss itself, and is refused")
    torch.manual_seed(0)
    sparse = kind is torch.optim.SparseAdam
    model = nn.Embedding(8, 4, sparse=sparse)
    made = kind(model.parameters(), lr=0.01)
    index = torch.tensor([1, 5, 2])

    def step():
        made.zero_grad()
        loss = model(index).square().sum()
        loss.backward()
        gradient = model.weight.grad.to_dense().clone()
        made.step()
        assert torch.equal(model.weight.grad.to_dense(), gradient)

    taken = 0 if change == "interval" else 1
    with unstuck.watch(model, made, out=tmp_path / "run", changes={f"{change}/optimizer": 2}):
        for number in range(6):
            before = model.weight.detach().clone()
            state = _state(made)
            step()
            moved = not torch.equal(model.weight, before)
            assert moved is (number % 2 == taken)
            assert moved or _state(made) == state
    run = unstuck.load(tmp_path / "run")
    assert run.facts[fact_of(f"{change}/optimizer")] == 1
    assert "exit/watcher" not in run.facts


def _state(optimizer):
    held = optimizer.state_dict()
    flat = {k: v for of_one in held["state"].values() for k, v in of_one.items()}
    numbers = {k: v.tolist() if isinstance(v, torch.Tensor) else v for k, v in flat.items()}
    groups = [{k: v for k, v in group.items() if k != "params"} for group in held["param_groups"]]
    return repr((numbers, groups))


def test_nothing_is_left_when_the_watching_ends(tmp_path):
    before = _held()
    changes = {f"{kind}/optimizer": ALL[kind] for kind in ALL} | {
        "clip/other": "off",
        "lr/other": 0.1,
    }
    _, run = watched_losses(tmp_path, SCRIPT, changes)
    assert {name for name in changes if fact_of(name) in run.facts} == set(changes) - {
        "clip/other",
        "lr/other",
    }
    assert _held() == before


def _held():
    owners = (torch.optim.Optimizer, torch.Tensor, nn.Module, nn.utils, F, torch.amp.GradScaler)
    return {(owner, name): value for owner in owners for name, value in vars(owner).items()}


def test_rates_and_gradients_are_the_scripts_own_again_when_the_watching_fails(
    tmp_path, monkeypatch, capsys
):
    net = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, weight_decay=0.1)
    monkeypatch.setattr(Clip, "gradients", lambda *_: 1 / 0)
    changes = {f"{kind}/optimizer": ALL[kind] for kind in ("lr", "weight_decay", "clip")}
    with unstuck.watch(net, optimizer, out=tmp_path / "run", changes=changes):
        net(torch.ones(2, 6)).sum().backward()
        optimizer.step()
    group = optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.05, 0.1)
    assert "ZeroDivisionError" in unstuck.load(tmp_path / "run").facts["exit/watcher"]
    assert "stopped watching" in capsys.readouterr().err


def test_between_steps_a_script_sees_its_own_values(tmp_path):
    net = nn.Linear(6, 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05, weight_decay=0.1)
    changes = {
        f"{kind}/optimizer": ALL[kind] for kind in ("lr", "warmup", "schedule", "weight_decay")
    }
    with unstuck.watch(net, optimizer, out=tmp_path / "run", changes=changes):
        for _ in range(3):
            net(torch.ones(2, 6)).sum().backward()
            optimizer.step()
            group = optimizer.param_groups[0]
            assert (group["lr"], group["weight_decay"]) == (0.05, 0.1)
    rates = unstuck.load(tmp_path / "run").series["lr/optimizer"].value
    assert rates == pytest.approx([0.005 * 1 / 4, 0.005 * 2 / 3 * 2 / 4, 0.005 * 1 / 3 * 3 / 4])


def test_where_nothing_is_to_be_changed_no_intervention_is_loaded(tmp_path):
    script = """
import sys
import torch
from torch import nn

net = nn.Linear(2, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
net(torch.ones(3, 2)).sum().backward()
optimizer.step()
assert "unstuck.watcher.intervention" in sys.modules
named = "unstuck.watcher.interventions"
losses = [sum(name.startswith(named) for name in sys.modules)]
"""
    without, _ = watched_losses(tmp_path, script, {}, child=True)
    changed, _ = watched_losses(tmp_path, script, {"lr/optimizer": 0.2}, child=True)
    assert without == [0]
    assert changed[0] > 0
