"""Live changes of optimizers in loops that schedule, accumulate, clip, scale or play a game."""

import textwrap

import pytest

pytest.importorskip("torch")

from changed_training import changed

START = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
x = torch.randn(128, 6)
y = x.sum(1, keepdim=True).sin()
losses = []
def loss_of(net):
    i = torch.randint(0, 128, (16,))
    loss = F.mse_loss(net(x[i]), y[i])
    losses.append(loss.item())
    return loss
"""
STEP = "    optimizer.step()\n"


def script(text):
    return START + textwrap.dedent(text)


SCHEDULED = script("""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5, 0.3)
    for step in range(20):
        loss = loss_of(net)
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        scheduler.step()
""")
WARMED = SCHEDULED.replace(
    "StepLR(optimizer, 5, 0.3)", "LambdaLR(optimizer, lambda n: min(1.0, n / 10))"
)
ONE_CYCLE = SCHEDULED.replace("StepLR(optimizer, 5, 0.3)", "OneCycleLR(optimizer, 0.3, 20)")
BY_HAND = script("""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for step in range(20):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * min(1, step / 5)
        loss = loss_of(net)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
""")
BARE = "LambdaLR(optimizer, lambda n: 1.0)"


@pytest.mark.parametrize(
    ("text", "changes", "edits"),
    [
        (SCHEDULED, {"lr/optimizer": 0.02}, [("lr=0.1", "lr=0.02")]),
        (SCHEDULED, {"lr/optimizer": "x3"}, [("lr=0.1", "lr=0.1 * 3")]),
        (WARMED, {"lr/optimizer": 0.02}, [("lr=0.1", "lr=0.02")]),
        (
            ONE_CYCLE,
            {"lr/optimizer": 0.06},
            [("OneCycleLR(optimizer, 0.3", "OneCycleLR(optimizer, 0.06")],
        ),
        (BY_HAND, {"lr/optimizer": 0.01}, [("0.05", "0.01")]),
        (SCHEDULED, {"schedule/optimizer": "constant"}, [("StepLR(optimizer, 5, 0.3)", BARE)]),
        (WARMED, {"schedule/optimizer": "constant"}, [("min(1.0, n / 10)", "1.0")]),
        (
            SCHEDULED,
            {"schedule/optimizer": "linear:16", "warmup/optimizer": 4, "lr/optimizer": 0.05},
            [
                ("lr=0.1", "lr=0.05"),
                (
                    "StepLR(optimizer, 5, 0.3)",
                    "LambdaLR(optimizer, lambda n: max(0, 1 - n / 16) * min(1, (n + 1) / 4))",
                ),
            ],
        ),
        (SCHEDULED, {"interval/optimizer": 4}, [(STEP, "    if step % 4 == 0:\n    " + STEP)]),
        (
            SCHEDULED,
            {"accumulation/optimizer": 4},
            [
                ("losses = []", "losses = []\n__import__('warnings').simplefilter('ignore')"),
                ("loss.backward()", "(loss / 4).backward()"),
                ("    optimizer.zero_grad(set_to_none=False)\n", ""),
                (STEP, "    if step % 4 == 3:\n    " + STEP + "        optimizer.zero_grad()\n"),
            ],
        ),
    ],
)
def test_with_a_schedule_of_its_own(tmp_path, text, changes, edits):
    found = changed(tmp_path, text, edits, changes)
    print(changes, found.apart, found.moved)
    assert found.moved > 1e-3
    assert found.apart < 1e-6
    assert found.acted(*changes)


SUMMED = script("""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.9)
    for step in range(20):
        for part in range(3):
            loss = loss_of(net)
            loss.backward()
        clip_grad_norm_(net.parameters(), 0.7)
        optimizer.step()
        optimizer.zero_grad()
""")
CLEARED = script("""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.9)
    for step in range(20):
        for part in range(4):
            CLEAR
            loss = loss_of(net) / 4
            loss.backward()
        optimizer.step()
""")
WAYS = {
    "optimizer": "optimizer.zero_grad()",
    "to zero": "optimizer.zero_grad(set_to_none=False)",
    "model": "net.zero_grad()",
    "by hand": "for p in net.parameters(): p.grad = None",
    "numbers": "[p.grad.zero_() for p in net.parameters() if p.grad is not None]",
}
NEVER = script("""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for step in range(20):
        loss = loss_of(net)
        loss.backward()
        optimizer.step()
""")
TOO_EARLY = script("""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for step in range(20):
        loss = loss_of(net)
        loss.backward()
        optimizer.zero_grad(set_to_none=False)
        optimizer.step()
""")
CLEAR_AFTER = (STEP, STEP + "    optimizer.zero_grad()\n")


def test_gradients_that_are_summed_are_averaged_before_the_script_clips_them(tmp_path):
    edits = [("loss.backward()", "(loss / 3).backward()")]
    found = changed(tmp_path, SUMMED, edits, {"accumulation/optimizer": "mean"})
    print(found.apart, found.moved)
    assert found.moved > 1e-3
    assert found.apart < 1e-6
    assert found.acted("accumulation/optimizer")


@pytest.mark.parametrize("way", WAYS)
def test_gradients_are_cleared_after_the_step_alone(tmp_path, way):
    text = CLEARED.replace("CLEAR", WAYS[way])
    edits = [(WAYS[way], "pass"), CLEAR_AFTER]
    found = changed(tmp_path, text, edits, {"zero_grad/optimizer": "after-step"})
    print(way, found.apart, found.moved)
    assert found.moved > 1e-3
    assert found.apart == 0
    assert found.acted("zero_grad/optimizer")


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        (NEVER, [CLEAR_AFTER]),
        (TOO_EARLY, [("    optimizer.zero_grad(set_to_none=False)\n", ""), CLEAR_AFTER]),
    ],
)
def test_gradients_that_were_never_cleared_or_too_early(tmp_path, text, edits):
    found = changed(tmp_path, text, edits, {"zero_grad/optimizer": "after-step"})
    assert found.moved > 1e-3
    assert found.apart == 0


def test_passes_that_were_thrown_away_are_kept_and_averaged(tmp_path):
    text = CLEARED.replace("CLEAR", "optimizer.zero_grad()").replace(
        "loss_of(net) / 4", "loss_of(net)"
    )
    edits = [
        ("optimizer.zero_grad()", "pass"),
        ("loss.backward()", "(loss / 4).backward()"),
        CLEAR_AFTER,
    ]
    changes = {"zero_grad/optimizer": "after-step", "accumulation/optimizer": "mean"}
    found = changed(tmp_path, text, edits, changes)
    assert found.moved > 1e-3
    assert found.apart < 1e-6
    assert found.acted(*changes)


GAME = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

torch.manual_seed(0)
netG = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
netD = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
optimizerD = torch.optim.Adam(netD.parameters(), lr=0.01, betas=(0.5, 0.999))
optimizerG = torch.optim.SGD(netG.parameters(), lr=0.05, momentum=0.5)
one, zero = torch.ones(16, 1), torch.zeros(16, 1)
losses = []
for step in range(20):
    real = torch.randn(16, 2) * 0.3 + 1
    netD.zero_grad()
    errD_real = F.binary_cross_entropy_with_logits(netD(real), one)
    errD_real.backward()
    fake = netG(torch.randn(16, 4))
    errD_fake = F.binary_cross_entropy_with_logits(netD(fake.detach()), zero)
    errD_fake.backward()
    optimizerD.step()
    netG.zero_grad()
    errG = F.binary_cross_entropy_with_logits(netD(fake), one)
    errG.backward()
    clip_grad_norm_([*netG.parameters(), *netD.parameters()], 0.1)
    optimizerG.step()
    losses += [errD_real.item(), errD_fake.item(), errG.item()]
"""
STEP_D, STEP_G = "    optimizerD.step()\n", "    optimizerG.step()\n"
BOTH = "clip_grad_norm_([*netG.parameters(), *netD.parameters()], 0.1)"


@pytest.mark.parametrize(
    ("changes", "edits"),
    [
        ({"lr/optimizerD": "x0.1"}, [("lr=0.01", "lr=0.01 * 0.1")]),
        ({"interval/optimizerD": 3}, [(STEP_D, "    if step % 3 == 0:\n    " + STEP_D)]),
        (
            {"clip/optimizerD": 0.2},
            [(STEP_D, "    clip_grad_norm_(netD.parameters(), 0.2)\n" + STEP_D)],
        ),
        (
            {"accumulation/optimizerD": "mean"},
            [
                ("errD_real.backward", "(errD_real / 2).backward"),
                ("errD_fake.backward", "(errD_fake / 2).backward"),
            ],
        ),
        (
            {"accumulation/optimizerG": 2},
            [
                ("    netG.zero_grad()\n", ""),
                ("errG.backward", "(errG / 2).backward"),
                (STEP_G, "    if step % 2:\n    " + STEP_G + "        netG.zero_grad()\n"),
                (BOTH, ""),
                ("fake = netG", "fake = netG"),
            ],
        ),
        ({"clip/optimizerG": "off"}, [(BOTH, "pass")]),
    ],
)
def test_one_of_two_optimizers(tmp_path, changes, edits):
    text = (
        GAME if "accumulation/optimizerG" not in changes else GAME.replace("    " + BOTH + "\n", "")
    )
    edits = [e for e in edits if e[0] in text]
    found = changed(tmp_path, text, edits, changes)
    print(changes, found.apart, found.moved)
    assert found.moved > 1e-3
    assert found.apart < 1e-6
    assert found.acted(*changes)
