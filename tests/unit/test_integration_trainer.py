"""A trainer in a package of its own: names, terms and the true loss are still the script's."""

import ast
import importlib
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

import unstuck
from unstuck.watcher.callers import callers
from unstuck.watcher.naming import name_of
from unstuck.watcher.trainer_logs import series

TRAINER = """
    class Trainer:
        def __init__(self, model, optimizer, batches=1, scale=1.0):
            self.model, self.optimizer = model, optimizer
            self.batches, self.scale = batches, scale

        def fit(self, step, count):
            for i in range(count):
                loss = step(self.model)
                loss = loss / self.batches
                self.backward(loss * self.scale if self.scale != 1 else loss)
                if i % self.batches == self.batches - 1:
                    self.optimizer.step()
                    self.optimizer.zero_grad()

        def backward(self, loss):
            loss.backward()
            for p in self.model.parameters():
                p.grad /= self.scale
"""


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """The trainer, installed where packages are."""
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    (folder / "a_trainer.py").write_text(textwrap.dedent(TRAINER))
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module("a_trainer").Trainer
    del sys.modules["a_trainer"]


class Steps:
    """What a script hands to a trainer: a function that makes the loss."""

    def __init__(self, sign=1):
        self.made, self.sign = [], sign
        self.noise = torch.Generator().manual_seed(1)

    def training_step(self, model):
        x = torch.randn(8, 4, generator=self.noise)
        out = model(x)
        fit = (out - x.sum(1, keepdim=True)).square().mean()
        size = out.abs().mean()
        total = fit + 0.5 * size
        self.made.append(float(total.detach()))
        return total

    def negated(self, model):
        x = torch.randn(8, 4, generator=self.noise)
        total_reward = -(model(x) - 1).square().mean()
        self.made.append(-float(total_reward.detach()))
        return -total_reward


def run_of(trainer, tmp_path, step="training_step", count=24, **options):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    steps = Steps()
    training = trainer(net, torch.optim.SGD(net.parameters(), 0.05), **options)
    with unstuck.watch(out=tmp_path / "run") as watched:
        training.fit(getattr(steps, step), count)
    return unstuck.load(watched.path), steps, net


def test_the_trainers_own_words_name_what_the_script_does_not(trainer, tmp_path):
    run, _, _ = run_of(trainer, tmp_path)
    assert {n for n in run.series if n.startswith(("loss/", "lr/"))} == {
        "loss/loss",
        "lr/optimizer",
    }
    assert "grad_norm/optimizer/model.0" in run.series


@pytest.mark.parametrize("options", [{}, {"batches": 3}, {"batches": 2, "scale": 1024.0}])
def test_factors_of_the_trainer_are_undone_on_every_step(trainer, tmp_path, options):
    run, steps, _ = run_of(trainer, tmp_path, count=120, **options)
    made = np.array(steps.made).reshape(-1, options.get("batches", 1)).mean(axis=1)
    assert run.series["loss/loss"].value == pytest.approx(made, rel=1e-5)
    assert len(made) > len(run.series["weight/loss/fit"]), "most steps are not sampled"
    assert run.series["weight/loss/fit"].value == pytest.approx(1.0)
    assert run.series["weight/loss/size"].value == pytest.approx(0.5)
    assert {n for n in run.series if n.startswith("term/")} == {"term/loss/fit", "term/loss/size"}


def test_a_sign_is_no_factor(trainer, tmp_path):
    run, steps, _ = run_of(trainer, tmp_path, step="negated")
    assert run.series["loss/loss"].value == pytest.approx(steps.made, rel=1e-5)


def test_no_frame_is_held_when_gradients_are_computed(trainer, tmp_path):
    held = []

    class Looks(nn.Module):
        def forward(self, x):
            x.register_hook(lambda g: held.append(len(callers._frames)))
            return x

    net = nn.Sequential(nn.Linear(4, 8), Looks(), nn.Linear(8, 1))
    training = trainer(net, torch.optim.SGD(net.parameters(), 0.05))
    with unstuck.watch(out=tmp_path / "run"):
        training.fit(Steps().training_step, 4)
    assert held and not any(held)
    assert not callers.take()


def test_watching_changes_no_bit(trainer, tmp_path):
    _, _, watched = run_of(trainer, tmp_path, batches=2, scale=512.0)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    trainer(net, torch.optim.SGD(net.parameters(), 0.05), 2, 512.0).fit(Steps().training_step, 24)
    assert all(
        torch.equal(a, b)
        for a, b in zip(net.state_dict().values(), watched.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("call", "name"),
    [("loss_scaler(d_loss, optimizer)", "d_loss"), ("self(x)", "self"), ("netG(z)", "netG")],
)
def test_a_scaler_that_is_called_with_the_loss_hands_its_name_on(call, name):
    assert name_of(ast.parse(call, mode="eval").body) == name


@pytest.mark.parametrize(
    ("logged", "name"),
    [
        ("eval_loss", "metric/val/loss"),
        ("val/acc", "metric/val/acc"),
        ("train_loss", "metric/train/loss"),
        ("reward", "metric/train/reward"),
        ("epoch", "epoch"),
        ("eval_runtime", None),
        ("train_samples_per_second", None),
        ("learning_rate", None),
        ("grad_norm", None),
    ],
)
def test_names_in_a_trainers_log(logged, name):
    assert series({logged: 1.0}) == ({name: 1.0} if name else {})
