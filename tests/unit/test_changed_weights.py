"""Another weight of a term, given from outside, trains as the same weight written in the script."""

import pytest
from changed_training import CLOSE, changed

from unstuck.changes import fact_of

SCRIPT = """
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(3)
x = torch.randn(64, 6)
y = x[:, :2].sin()
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))
other = nn.Linear(6, 2)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
optimizer_other = torch.optim.SGD(other.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
losses = []
for step in range(20):
    i = torch.randint(0, 64, (16,))
    {body}
    losses.append(loss.item())
"""
TERMS = """
fit = F.mse_loss(model(x[i]), y[i])
size = model[0].weight.square().mean()
optimizer.zero_grad()
"""
PLAIN = "loss = fit + 0.5 * size\nloss.backward()\noptimizer.step()"


def script(body):
    return SCRIPT.replace("{body}", (TERMS + body).strip().replace("\n", "\n    "))


CASES = {
    "a number": (PLAIN, [("0.5 *", "3.0 *")], {"weight/loss/size": 3.0}),
    "a multiple": (PLAIN, [("0.5 *", "5.0 *")], {"weight/loss/size": "x10"}),
    "none": (PLAIN, [("0.5 * size", "0.0 * size")], {"weight/loss/size": 0.0}),
    "the other sign": (PLAIN, [("0.5 *", "-0.5 *")], {"weight/loss/size": -0.5}),
    "two terms": (
        PLAIN,
        [("fit + 0.5", "0.2 * fit + 2.0")],
        {"weight/loss/size": 2.0, "weight/loss/fit": 0.2},
    ),
    "a term used twice": (
        "loss = fit + 0.25 * size + size / 4\nloss.backward()\noptimizer.step()",
        [("0.25 * size + size / 4", "2.5 * size + 2.5 * size")],
        {"weight/loss/size": 5.0},
    ),
    "a weight that depends on the step": (
        "loss = fit + 0.1 * step * size\nloss.backward()\noptimizer.step()",
        [("0.1 * step", "0.3 * step")],
        {"weight/loss/size": "x3"},
    ),
    "a weight from a schedule, made constant": (
        "loss = fit + 0.1 * step * size\nloss.backward()\noptimizer.step()",
        [("0.1 * step", "0.7")],
        {"weight/loss/size": 0.7},
    ),
    "scaled": (
        "loss = fit + 0.5 * size\nscaler.scale(loss).backward()\n"
        "scaler.step(optimizer)\nscaler.update()",
        [("0.5 *", "5.0 *")],
        {"weight/loss/size": 5.0},
    ),
    "divided for accumulation": (
        "for part in range(2):\n"
        "    fit = F.mse_loss(model(x[i[part::2]]), y[i[part::2]])\n"
        "    size = model[0].weight.square().mean()\n"
        "    loss = fit + 0.5 * size\n"
        "    (loss / 2).backward()\n"
        "optimizer.step()",
        [("0.5 *", "5.0 *")],
        {"weight/loss/size": 5.0},
    ),
    "one of two losses": (
        "other_fit = F.mse_loss(other(x[i]), y[i])\n"
        "other_size = other.weight.square().mean()\n"
        "loss_other = other_fit + 0.5 * other_size\n"
        "optimizer_other.zero_grad()\n"
        "loss_other.backward()\n"
        "optimizer_other.step()\n"
        "loss = fit + 0.5 * size + other(x[i]).detach().mean()\n"
        "loss.backward()\n"
        "optimizer.step()",
        [("0.5 * other_size", "4.0 * other_size")],
        {"weight/loss_other/other_size": 4.0},
    ),
    "a term of one element": (
        "loss = fit.reshape(1) + 0.5 * size.reshape(1)\nloss.backward()\noptimizer.step()",
        [("0.5 *", "5.0 *")],
        {"weight/loss/size": 5.0},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_weight_of_a_term(case, tmp_path):
    body, edits, changes = CASES[case]
    done = changed(tmp_path, seen(body), edits, changes, child=case == "scaled")
    assert done.acted(*changes)
    assert done.moved > 100 * CLOSE, "the change changes nothing"
    assert done.apart < CLOSE


def seen(body):
    """The script, of which the model's error is kept, whatever weighs in the loss."""
    return script(body).replace(
        "    losses.append(loss",
        "    with torch.no_grad():\n"
        "        seen = F.mse_loss(model(x), y) + F.mse_loss(other(x), y)\n"
        "    losses.append(seen",
    )


def test_the_loss_as_written_and_the_changed_one_are_both_recorded(tmp_path):
    done = changed(tmp_path, script(PLAIN), [("0.5 *", "5.0 *")], {"weight/loss/size": 5.0})
    run = done.run
    assert run.series["objective/loss"].value == pytest.approx(done.watched, rel=1e-6)
    assert run.series["loss/loss"].value == pytest.approx(done.written, rel=1e-5)
    assert run.series["weight/loss/size"].value == pytest.approx(5.0)


def test_a_term_that_does_not_exist_is_not_changed(tmp_path):
    name = "weight/loss/sise"
    done = changed(tmp_path, script(PLAIN), [("losses = []", "losses = list()")], {name: 5.0})
    assert done.apart == 0
    assert fact_of(name) not in done.run.facts
    assert "objective/loss" not in done.run.series
