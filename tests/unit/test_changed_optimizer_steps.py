"""Steps with closures, gradient scalers, compiled models, bad numbers and the script's clipping."""

import pytest

pytest.importorskip("torch")

from changed_training import changed

SCRIPT = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
x = torch.randn(128, 6)
y = x.sum(1, keepdim=True).sin()
losses = []
for step in range(20):
    i = torch.randint(0, 128, (16,))
    optimizer.zero_grad()
    loss = F.mse_loss(net(x[i]), y[i])
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
"""
STEP = "    optimizer.step()\n"
CLIP = "    clip_grad_norm_(net.parameters(), 0.05)\n"


def edited(text, *edits):
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text


CLOSURE = edited(
    SCRIPT,
    (
        """    optimizer.zero_grad()
    loss = F.mse_loss(net(x[i]), y[i])
    loss.backward()
    optimizer.step()
""",
        """    def closure():
        global loss
        optimizer.zero_grad()
        loss = F.mse_loss(net(x[i]), y[i])
        loss.backward()
        return loss
    optimizer.step(closure)
""",
    ),
)
SCALED = edited(
    SCRIPT,
    ("losses = []", "losses = []\nscaler = torch.amp.GradScaler('cpu', init_scale=2.0**127)"),
    ("loss.backward()", "scaler.scale(50 * loss).backward()"),
    (STEP, "    scaler.step(optimizer)\n    scaler.update()\n"),
)
FUSED = edited(SCALED, ("lr=0.05", "lr=0.05, fused=True"))
COMPILED = edited(
    SCRIPT,
    ("optimizer = ", "net = torch.compile(net, backend='eager')\noptimizer = "),
)
SCALER_STEP = "    scaler.step(optimizer)\n"
UNSCALE = "    scaler.unscale_(optimizer)\n"
UNSCALED_CLIP = [(SCALER_STEP, UNSCALE + CLIP + SCALER_STEP)]
WARMED = "    optimizer.param_groups[0]['lr'] = 0.05 * min(1, (step + 1) / 8)\n"
# an overflow: the scaler leaves the step out before anything else can
SUM = """    if all(p.grad.isfinite().all() for p in net.parameters()):
        seen += 1
        total = [t + p.grad for t, p in zip(total, net.parameters())]
        if seen % 2 == 0:
            for t, p in zip(total, net.parameters()):
                p.grad = t / 2
            optimizer.step()
            total = [0, 0, 0, 0]
"""
SUMMED = [
    ("losses = []", "losses = []\nseen, total = 0, [0, 0, 0, 0]"),
    (SCALER_STEP, UNSCALE + SUM),
]
CLEARED = [(SCALER_STEP, SCALER_STEP + "    optimizer.zero_grad()\n")]


@pytest.mark.parametrize(
    ("text", "changes", "edits"),
    [
        (CLOSURE, {"lr/optimizer": 0.01}, [("lr=0.05", "lr=0.01")]),
        (CLOSURE, {"clip/optimizer": 0.05}, [("        return", "    " + CLIP + "        return")]),
        (
            CLOSURE,
            {"interval/optimizer": 2},
            [
                (
                    "    optimizer.step(closure)",
                    "    optimizer.step(closure) if step % 2 == 0 else closure()",
                )
            ],
        ),
        (
            CLOSURE,
            {"zero_grad/optimizer": "after-step"},
            [
                ("        optimizer.zero_grad()\n", ""),
                ("    losses", "    optimizer.zero_grad()\n    losses"),
            ],
        ),
        (SCALED, {"clip/optimizer": 0.05}, UNSCALED_CLIP),
        (FUSED, {"clip/optimizer": 0.05}, UNSCALED_CLIP),
        (SCALED, {"lr/optimizer": 0.01}, [("lr=0.05", "lr=0.01")]),
        (SCALED, {"warmup/optimizer": 8}, [(SCALER_STEP, WARMED + SCALER_STEP)]),
        (FUSED, {"warmup/optimizer": 8}, [(SCALER_STEP, WARMED + SCALER_STEP)]),
        (SCALED, {"accumulation/optimizer": 2}, SUMMED),
        (FUSED, {"accumulation/optimizer": 2}, SUMMED),
        (
            SCALED.replace("    optimizer.zero_grad()\n", ""),
            {"zero_grad/optimizer": "after-step"},
            CLEARED,
        ),
        (
            FUSED.replace("    optimizer.zero_grad()\n", ""),
            {"zero_grad/optimizer": "after-step"},
            CLEARED,
        ),
        (COMPILED, {"clip/optimizer": 0.05}, [(STEP, CLIP + STEP)]),
        (COMPILED, {"lr/optimizer": "x0.1"}, [("lr=0.05", "lr=0.05 * 0.1")]),
        (COMPILED, {"interval/optimizer": 2}, [(STEP, "    if step % 2 == 0:\n    " + STEP)]),
    ],
)
def test_other_ways_to_step(tmp_path, text, changes, edits):
    found = changed(tmp_path, text, edits, changes)
    if "zero_grad/optimizer" not in changes:
        assert found.moved > 1e-3
    assert found.apart < 1e-6
    assert found.acted(*changes)


def test_a_step_with_a_bad_number_is_left_out_and_nothing_else(tmp_path):
    text = edited(
        SCRIPT,
        (
            "    loss.backward()",
            "    loss = loss * (float('nan') if step in (3, 9) else 1)\n    loss.backward()",
        ),
    )
    edits = [(STEP, "    if step not in (3, 9):\n    " + STEP)]
    found = changed(tmp_path, text, edits, {"finite/optimizer": "only"})
    assert found.apart == 0
    assert [step for step, loss in enumerate(found.watched) if loss != loss] == [3, 9]
    assert found.acted("finite/optimizer")


BY_VALUE = "    clip_grad_value_(parameters=net.parameters(), clip_value=0.001)\n"
LISTED = "    torch.nn.utils.clip_grad_norm_(list(net.parameters()), max_norm=0.05)\n"
ALONE = "    for p in net.parameters(): clip_grad_norm_(p, 0.005)\n"


@pytest.mark.parametrize("clipping", [CLIP, BY_VALUE, LISTED, ALONE])
def test_the_scripts_own_clipping_is_undone(tmp_path, clipping):
    """Of this optimizer alone: another one, whose parameters are clipped too, is left as it is."""
    text = edited(SCRIPT, (STEP, clipping + STEP)).replace("Adam", "SGD")
    found = changed(tmp_path, text, [(clipping, "")], {"clip/optimizer": "off"})
    assert found.moved > 1e-3
    assert found.apart == 0
    assert found.acted("clip/optimizer")


def test_what_the_scripts_clipping_returns_is_what_it_would_be(tmp_path):
    text = edited(
        SCRIPT,
        (STEP, "    norm = clip_grad_norm_(net.parameters(), 1e9)\n" + STEP),
        ("loss.item()", "norm.item()"),
    )
    found = changed(tmp_path, text, [], {"clip/optimizer": "off"})
    assert found.watched == found.plain


def test_a_scripts_own_clipping_comes_before_a_further_one(tmp_path):
    text = edited(SCRIPT, (STEP, "    clip_grad_value_(net.parameters(), 0.01)\n" + STEP))
    found = changed(
        tmp_path, text, [(STEP, CLIP.replace("0.05", "0.001") + STEP)], {"clip/optimizer": 0.001}
    )
    assert found.apart == 0
    assert found.acted("clip/optimizer")
