"""Live changes of optimizers equal the same change written into the script."""

import pytest

pytest.importorskip("torch")

from changed_training import changed

SCRIPT = """
import math
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
optimizer = MADE
x = torch.randn(128, 6)
y = x.sum(1, keepdim=True).sin()
losses = []
held = {}
for step in range(20):
    i = torch.randint(0, 128, (16,))
    loss = F.mse_loss(net(x[i]), y[i])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
"""
MADE = {
    "sgd": "torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)",
    "adam": "torch.optim.Adam(net.parameters(), lr=0.1, weight_decay=0.01)",
    "adamw": "torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=0.01)",
    "foreach": "torch.optim.Adam(net.parameters(), lr=0.1, weight_decay=0.01, foreach=True)",
    "fused": "torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=0.01, fused=True)",
    "tensor": "torch.optim.Adam(net.parameters(), lr=torch.tensor(0.1), weight_decay=0.01)",
    "groups": """torch.optim.SGD([
        {"params": net[0].parameters(), "lr": 0.1, "weight_decay": 0.01},
        {"params": net[2].parameters(), "lr": 0.02},
    ], lr=0.1, momentum=0.9)""",
}
STEP = "    optimizer.step()\n"
RATE = """    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("made_with", group["lr"]) * (FACTOR)
"""
AVERAGED = """    for p in net.parameters():
        held[p] = held[p] + p.grad if p in held else p.grad.clone()
    if step % 3 == 2:
        for p, total in held.items():
            p.grad = total / 3
        held = {}
        optimizer.step()
"""


def times(factor):
    return [(STEP, RATE.replace("FACTOR", factor) + STEP)]


def decay(make):
    one = '"weight_decay": 0.01' if make == "groups" else "weight_decay=0.01"
    return [(one, one.replace("0.01", "0.3"))]


# change -> the same written into the script
WRITTEN = {
    "lr/optimizer=x0.1": times("0.1"),
    "warmup/optimizer=8": times("min(1, (step + 1) / 8)"),
    "schedule/optimizer=linear:10": times("max(0.0, 1 - step / 10)"),
    "schedule/optimizer=cosine:30": times("0.5 * (1 + math.cos(math.pi * step / 30))"),
    "weight_decay/optimizer=0.3": decay,
    "clip/optimizer=0.05": [
        (STEP, "    nn.utils.clip_grad_norm_(net.parameters(), 0.05)\n" + STEP)
    ],
    "interval/optimizer=3": [(STEP, "    if step % 3 == 0:\n    " + STEP)],
    "accumulation/optimizer=3": [(STEP, AVERAGED)],
}


@pytest.mark.parametrize("make", MADE)
@pytest.mark.parametrize("change", WRITTEN)
def test_an_unmodified_script(tmp_path, change, make):
    name, _, value = change.partition("=")
    edits = WRITTEN[change]
    edits = edits(make) if callable(edits) else edits
    found = changed(tmp_path, SCRIPT.replace("MADE", MADE[make]), edits, {name: value})
    assert found.moved > 1e-3
    assert found.apart < 1e-6
    assert found.acted(name)


OTHERS = {
    "zero_grad/optimizer=after-step": [
        ("    optimizer.zero_grad()\n", ""),
        (STEP, STEP + "    optimizer.zero_grad()\n"),
    ],
    "finite/optimizer=only": [
        (STEP, "    if all(p.grad.isfinite().all() for p in net.parameters()):\n    " + STEP)
    ],
    "accumulation/optimizer=mean": [("loss.backward()", "(loss / 2).backward()")],
    "clip/optimizer=off": [("    nn.utils.clip_grad_norm_(net.parameters(), 0.05)\n", "")],
}
SICK = {  # what the script must do for the change to mean something
    "zero_grad/optimizer=after-step": (
        "    optimizer.zero_grad()\n    loss.backward()\n",
        "    loss.backward()\n    optimizer.zero_grad()\n",
    ),
    "finite/optimizer=only": (
        "    loss.backward()\n",
        "    loss = loss * (math.nan if step == 7 else 1)\n    loss.backward()\n",
    ),
    "accumulation/optimizer=mean": (
        "    loss.backward()\n",
        "    loss.backward()\n    loss = F.mse_loss(net(x[:16]), y[:16])\n    loss.backward()\n",
    ),
    "clip/optimizer=off": (STEP, WRITTEN["clip/optimizer=0.05"][0][1]),
}


def test_every_kind_through_the_environment_of_a_child(tmp_path):
    """One child trains once for every kind of change, each with an optimizer of its own name."""
    whole, edits, changes = "", [], {}
    for number, (change, written) in enumerate((WRITTEN | OTHERS).items()):
        name, _, value = change.partition("=")
        script = SCRIPT.replace("MADE", MADE["sgd"])
        if change in SICK:
            assert SICK[change][0] in script
            script = script.replace(*SICK[change])
        own = f"optimizer_{number}"
        wanted = script
        for old, new in written("sgd") if callable(written) else written:
            assert old in wanted
            wanted = wanted.replace(old, new)
        part = script.replace("losses = []", "").replace("optimizer", own)
        whole += part
        edits.append((part, wanted.replace("losses = []", "").replace("optimizer", own)))
        changes[name.replace("optimizer", own)] = value
    found = changed(tmp_path, "losses = []\n" + whole, edits, changes, child=True)
    steps = [slice(20 * n, 20 * n + 20) for n in range(len(changes))]
    for name, part in zip(changes, steps, strict=True):
        assert found.written[part] == pytest.approx(found.watched[part], abs=1e-6, nan_ok=True)
        assert found.plain[part] != pytest.approx(found.written[part], abs=1e-3), name
    assert found.acted(*changes)
