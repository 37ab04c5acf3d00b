"""A patched script trains as the unpatched one does with the live change the patch is made from."""

import textwrap

import pytest
from changed_training import CLOSE, changed, watched_losses

from unstuck.patching.patch import suggested
from unstuck.records import Treatment

START = """
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(64, 6), torch.randint(0, 3, (64,))
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
losses = []
"""
PLAIN = """
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)  # fast
for step in range(20):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
"""
POSITIONAL = PLAIN.replace("lr=0.5", "1 / 2")
DEFAULT = PLAIN.replace("SGD(model.parameters(), lr=0.5, momentum=0.9)", "Adam(model.parameters())")
DECAYED = PLAIN.replace("momentum=0.9", "weight_decay=0.3")
SCHEDULED = PLAIN.replace(
    "for step", "fall = torch.optim.lr_scheduler.StepLR(optimizer, 4)\nfor step"
).replace("    losses", "    fall.step()\n    losses")
CLIPPED = PLAIN.replace(
    "    optimizer.step",
    "    nn.utils.clip_grad_norm_(model.parameters(), 0.01)\n    optimizer.step",
)
NEVER_CLEARED = PLAIN.replace("    optimizer.zero_grad()\n", "")
CLEARED_TOO_SOON = PLAIN.replace("    optimizer.zero_grad()\n", "").replace(
    "    optimizer.step()", "    if step % 2:\n        optimizer.zero_grad()\n    optimizer.step()"
)
SUMMED = """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(20):
    for part in range(4):
        loss = F.cross_entropy(model(x[part::4]), y[part::4])
        loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
"""
TERMS = """
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(20):
    out = model(x)
    task = F.cross_entropy(out, y)
    size = out.square().mean()
    loss = task + 100 * size
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(task.item())
"""
BARE_TERM = TERMS.replace("100 * size", "size")
HELD = """
    with torch.no_grad():
        losses.append(F.nll_loss(model(x).log_softmax(1), y).item())
"""
SMOOTHED = PLAIN.replace("    losses.append(loss.item())\n", HELD)
SOFTENED = SMOOTHED.replace("model(x), y)\n    loss", "F.softmax(model(x), dim=1), y)\n    loss")
BROADCAST = """
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
target = x.sum(1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(20):
    optimizer.zero_grad()
    out = model(x)
    loss = F.mse_loss(out, target)
    loss.backward()
    optimizer.step()
    losses.append(float((out.detach().squeeze(1) - target).square().mean()))
"""

BROKEN = PLAIN.replace("model(x), y)", "model(x if step % 7 else x * float('nan')), y)").replace(
    "    losses.append(loss.item())\n", HELD
)

CASES = {
    "rate": (PLAIN, {"lr/optimizer": "x0.1"}),
    "rate-absolute": (PLAIN, {"lr/optimizer": 0.03}),
    "rate-positional": (POSITIONAL, {"lr/optimizer": "x0.1"}),
    "rate-by-default": (DEFAULT, {"lr/optimizer": "x10"}),
    "rate-under-a-schedule": (SCHEDULED, {"lr/optimizer": "x0.1"}),
    "decay": (DECAYED, {"weight_decay/optimizer": "x0.1"}),
    "decay-that-was-none": (PLAIN, {"weight_decay/optimizer": 0.05}),
    "clip": (PLAIN, {"clip/optimizer": 0.05}),
    "clip-off": (CLIPPED, {"clip/optimizer": "off"}),
    "clip-off-and-rate": (CLIPPED, {"clip/optimizer": "off", "lr/optimizer": "x0.1"}),
    "never-cleared": (NEVER_CLEARED, {"zero_grad/optimizer": "after-step"}),
    "cleared-too-soon": (CLEARED_TOO_SOON, {"zero_grad/optimizer": "after-step"}),
    "finite": (BROKEN, {"finite/optimizer": "only"}),
    "mean": (SUMMED, {"accumulation/optimizer": "mean"}),
    "warmup": (PLAIN, {"warmup/optimizer": 10}),
    "no-schedule": (SCHEDULED, {"schedule/optimizer": "constant"}),
    "weight": (TERMS, {"weight/loss/size": "x0.05"}),
    "weight-absolute": (TERMS, {"weight/loss/size": 3.0}),
    "weight-of-a-bare-term": (BARE_TERM, {"weight/loss/size": "x20"}),
    "label-smoothing": (SMOOTHED, {"label_smoothing/cross_entropy": 0.2}),
    "raw-scores": (SOFTENED, {"scores/cross_entropy": "raw"}),
    "shaped": (BROADCAST, {"targets/elementwise": "shaped"}),
}


@pytest.mark.filterwarnings("ignore:Using a target size")  # it is what is mended
@pytest.mark.parametrize("case", CASES)
def test_the_patched_script_trains_as_with_the_live_change(case, tmp_path):
    body, changes = CASES[case]
    script = textwrap.dedent(START + body)
    _, run = watched_losses(tmp_path, script, {})
    file = tmp_path / "train.py"
    file.write_text(script)
    patch = suggested(file, Treatment("t", "r", changes, ""), run)
    assert patch.diff, patch.note
    three = changed(tmp_path, script, [(script, patch.after.decode())], changes)
    assert three.acted(*changes), three.run.facts
    assert not three.moved < 1e-3, "the change does nothing"
    assert three.apart < CLOSE
