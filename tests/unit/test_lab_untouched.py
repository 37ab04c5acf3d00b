"""Whatever happens in an experiment, nothing of it is left: bitwise, and in who holds what."""

import random
import signal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from probe_state import differences, everything
from torch import nn

from unstuck.lab.subject import Subject
from unstuck.lab.untouched import under_way, untouched


class Odd(nn.Module):
    """Keeps a tensor, a list and a count beside its parameters, and a lazily made layer."""

    def __init__(self) -> None:
        super().__init__()
        self.fit = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.memory = torch.zeros(3)
        self.past: list[torch.Tensor] = []
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.memory = self.memory + x.mean(0).detach()
        self.past.append(x.detach())
        return F.dropout(self.norm(self.fit(x)), 0.1, self.training)


def subject(optimizer=torch.optim.Adam, **options):
    torch.manual_seed(0)
    model = Odd()
    it = Subject(
        model, (torch.randn(6, 3), torch.randn(6, 3)), F.mse_loss,
        optimizer(model.parameters(), lr=0.01, **options),
    )  # fmt: skip
    it.value().backward()
    it.optimizer.step()
    model.past.clear()
    return it


def hold(it):
    return untouched((it.model, *it.others), it.optimizer)


def wreck(it):
    """Change all that can be changed."""
    model, optimizer = it.model, it.optimizer
    model.eval()
    model.norm.train(False)
    for _ in range(3):
        optimizer.zero_grad()
        it.value().backward()
        optimizer.step()
    model.fit.weight.data = torch.randn(3, 3)
    model.fit.bias.requires_grad_(False)
    model.norm.register_buffer("running_mean", torch.ones(3))
    model.register_forward_hook(lambda module, args, out: out + 1)
    model.fit.weight.register_hook(lambda grad: grad * 2)
    model.extra = nn.Linear(2, 2)
    del model.norm
    optimizer.param_groups[0]["lr"] = 9.0
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))]})
    optimizer.state.clear()
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(99)
    random.random()
    np.random.rand()


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (torch.optim.Adam, {"amsgrad": True}),
        (torch.optim.SGD, {"momentum": 0.9}),
        (torch.optim.AdamW, {"lr_of": "tensor"}),
        (torch.optim.LBFGS, {}),
        (torch.optim.RMSprop, {"centered": True}),
    ],
)
def test_everything_is_put_back(optimizer, options):
    if options.pop("lr_of", None):
        it = subject(
            lambda p, lr: optimizer(p, lr=torch.tensor(lr), foreach=False, capturable=False)
        )
    elif optimizer is torch.optim.LBFGS:
        it = subject(torch.optim.SGD)
        it.optimizer = optimizer(it.model.parameters())
        it.optimizer.step(lambda: it.value())
        it.model.past.clear()
    else:
        it = subject(optimizer, **options)
    before, held = everything(it), list(it.optimizer.param_groups)
    rate = it.optimizer.param_groups[0]["lr"]
    with hold(it):
        if optimizer is not torch.optim.LBFGS:
            wreck(it)
        else:
            it.optimizer.step(lambda: it.value())
        assert differences(before, everything(it))
    assert not differences(before, everything(it))
    assert it.optimizer.param_groups == held
    assert it.optimizer.param_groups[0]["lr"] is rate
    assert it.model.past == [] and not hasattr(it.model, "extra")
    assert it.model.training and it.model.norm.training


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_also_after_an_exception(error):
    it = subject()
    before = everything(it)
    with pytest.raises(error), hold(it):
        wreck(it)
        raise error
    assert not differences(before, everything(it))


def test_ctrl_c_while_all_is_put_back_waits_until_it_is_done(monkeypatch):
    it = subject()
    before = everything(it)
    put_back = torch.set_rng_state

    def interrupted(state):
        signal.raise_signal(signal.SIGINT)
        put_back(state)

    with pytest.raises(KeyboardInterrupt), hold(it):
        wreck(it)
        monkeypatch.setattr(torch, "set_rng_state", interrupted)
    monkeypatch.undo()
    assert not differences(before, everything(it))


def test_a_backward_pass_that_waits_stays_possible():
    it = subject()
    loss = it.value()
    twin = subject()  # seeds again
    other = twin.value()
    with hold(it):
        wreck(it)
    it.optimizer.zero_grad()
    twin.optimizer.zero_grad()
    loss.backward()
    other.backward()
    for mine, theirs in zip(it.model.parameters(), twin.model.parameters(), strict=True):
        assert torch.equal(mine.grad, theirs.grad)


@pytest.mark.parametrize("kind", ["double", "half"])
def test_a_model_cast_to_other_numbers_comes_back_with_its_gradients(kind):
    it = subject()
    it.value().backward()
    before = everything(it)
    with hold(it):
        getattr(it.model, kind)()
        for parameter in it.model.parameters():
            parameter.grad = torch.ones_like(parameter)
    assert not differences(before, everything(it))


def test_experiments_know_that_they_are_under_way():
    it = subject()
    assert not under_way()
    with hold(it):
        with hold(it):
            assert under_way()
        assert under_way()
    assert not under_way()


def test_a_criterion_with_parameters_of_its_own_is_put_back_too():
    weights = nn.Linear(1, 1)

    def loss(prediction, target):
        return F.mse_loss(prediction, target) * weights.weight.sum()

    model = nn.Linear(2, 2)
    it = Subject(model, (torch.randn(4, 2), torch.randn(4, 2)), loss)
    assert it.others == (weights,)
    before = weights.weight.detach().clone()
    with hold(it), torch.no_grad():
        weights.weight.mul_(3)
    assert torch.equal(weights.weight, before)
