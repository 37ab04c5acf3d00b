"""Terms with a floor or a ramp, and balanced classes, as the same change written in the script."""

import pytest
from changed_training import CLOSE, changed

SCRIPT = """
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(3)
x = torch.randn(256, 6)
rare = (x[:, 0] + torch.randn(256) > 1.8).long()
kinds = rare + (x[:, 1] > 1.5).long() * 2
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
criterion = nn.CrossEntropyLoss()
counts, up, down = torch.zeros(4), torch.zeros(()), torch.zeros(())
losses = []
for step in range(20):
    i = torch.randint(0, 256, (32,))
    fit = F.mse_loss(model(x[i]), x[i, :4])
    size = model[0].weight.square().mean()
    {loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append({kept})
"""
ERROR = "float(F.mse_loss(model(x).detach(), x[:, :4]))"
SUM = "loss = fit + 0.5 * size"
COUNTED = """counts += torch.bincount(kinds[i], minlength=4)
    weight = torch.where(counts > 0, counts.sum() / ((counts > 0).sum() * counts.clamp_min(1)), 1.0)
    """
POSITIVES = """up, down = up + rare[i].sum(), down + (1 - rare[i]).sum()
    ratio = down / up if up and down else torch.ones(())
    """


def script(loss, kept="loss.item()"):
    return SCRIPT.replace("{loss}", loss).replace("{kept}", kept)


CASES = {
    "floor": (
        script(SUM, ERROR),
        [(SUM, "loss = fit + 0.5 * size.clamp_min(0.06)")],
        {"floor/loss/size": 0.06},
    ),
    "floor of what is far above it": (
        script("loss = fit + 30 * size", ERROR),
        [("30 * size", "30 * torch.maximum(size, torch.tensor(0.03))")],
        {"floor/loss/size": 0.03},
    ),
    "ramp": (
        script("loss = fit + 30 * size", ERROR),
        [("30 * size", "30 * min(1.0, (step + 1) / 8) * size")],
        {"ramp/loss/size": 8},
    ),
    "ramp of another weight": (
        script("loss = fit + 3 * size", ERROR),
        [("3 * size", "30 * min(1.0, (step + 1) / 8) * size")],
        {"ramp/loss/size": 8, "weight/loss/size": 30.0},
    ),
    "classes": (
        script("loss = F.cross_entropy(model(x[i]), kinds[i])"),
        [("loss = F", COUNTED + "loss = F"), ("kinds[i])\n    opt", "kinds[i], weight)\n    opt")],
        {"class_weight/labels": "balanced"},
    ),
    "classes of log-probabilities, some ignored": (
        script("loss = F.nll_loss(F.log_softmax(model(x[i]), 1), kinds[i], ignore_index=3)"),
        [("loss = F", COUNTED.replace("kinds[i]", "kinds[i][kinds[i] != 3]") + "loss = F"),
         ("ignore_index", "weight=weight, ignore_index")],
        {"class_weight/labels": "balanced"},
    ),
    "positives": (
        script("loss = F.binary_cross_entropy_with_logits(model(x[i])[:, 0], rare[i].float())"),
        [("loss = F", POSITIVES + "loss = F"),
         ("rare[i].float()", "rare[i].float(), pos_weight=ratio")],
        {"class_weight/labels": "balanced"},
    ),
    "positives of probabilities": (
        script("loss = F.binary_cross_entropy(model(x[i]).sigmoid()[:, 0], rare[i].float())"),
        [("loss = F", POSITIVES + "loss = F"),
         ("rare[i].float()", "rare[i].float(), 1 + (ratio - 1) * rare[i]")],
        {"class_weight/labels": "balanced"},
    ),
    "positives of several labels of pixels": (
        script("on = (x[i] > 1).float().view(32, 2, 3)[..., :2]\n    loss = "
               "F.binary_cross_entropy_with_logits(model(x[i]).view(32, 2, 2), on)"),
        [("losses = []", "losses, ups, downs = [], 0, 0"),
         ("    loss = F", "    ups, downs = ups + on.sum((0, 2)), downs + (1 - on).sum((0, 2))\n"
          "    loss = F"), ("2), on)", "2), on, pos_weight=(downs / ups)[:, None])")],
        {"class_weight/labels": "balanced"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_equals_what_is_written_in(case, tmp_path):
    text, edits, changes = CASES[case]
    child = case in ("floor", "ramp of another weight", "positives")
    done = changed(tmp_path, text, edits, changes, child=child)
    assert done.acted(*changes), done.run.facts
    assert done.moved > 100 * CLOSE, "the change changes nothing"
    assert done.apart < CLOSE
    assert "objective/loss" in done.run.series


LEFT = {
    "weights of its own": "F.cross_entropy(model(x[i]), kinds[i], torch.tensor([1., 2, 3, 4]))",
    "a weight of positives": "F.binary_cross_entropy_with_logits(model(x[i])[:, 0], "
    "rare[i].float(), pos_weight=torch.tensor(3.0))",
    "probabilities": "F.cross_entropy(model(x[i]), F.one_hot(kinds[i], 4) * 0.8 + 0.05)",
}


@pytest.mark.parametrize("case", LEFT)
def test_other_losses_are_left_alone(case, tmp_path):
    changes = {"class_weight/labels": "balanced"}
    text = script(f"loss = {LEFT[case]}")
    done = changed(tmp_path, text, [("losses = []", "losses = list()")], changes)
    assert done.apart == 0
    assert not done.acted(*changes)
