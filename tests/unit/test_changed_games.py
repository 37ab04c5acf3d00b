"""Gradient penalties added to a discriminator from outside equal those written into the script."""

import pytest
from changed_training import CLOSE, changed
from torch.nn.modules import module as hooks

GAME = """
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(5)
data = torch.randn(128, 6) @ torch.randn(6, 6) + 1
netG = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 6))
netD = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 16), nn.Softplus(),
                     nn.Linear(16, 1))
optG = torch.optim.Adam(netG.parameters(), lr=1e-2, betas=(0.0, 0.9))
optD = torch.optim.Adam(netD.parameters(), lr=1e-2, betas=(0.0, 0.9))


def penalty(scores, samples):
    slope, = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()


losses = []
for step in range(20):
    real = data[torch.randint(0, 128, (16,))]
    fake = netG(torch.randn(16, 4))
    optD.zero_grad()
    {discriminator}
    optD.step()
    optG.zero_grad()
    {generator}
    errG.backward()
    optG.step()
    losses.append(errD.item())
    losses.append(errG.item())
"""
GENERATOR = "errG = F.softplus(-netD(fake)).mean()"
SEPARATE = """
real_out = netD(real)
fake_out = netD(fake.detach())
errD = F.softplus(-real_out).mean() + F.softplus(fake_out).mean()
errD.backward()
"""


def script(discriminator=SEPARATE, generator=GENERATOR):
    def indented(text):
        return text.strip().replace("\n", "\n    ")

    text = GAME.replace("{discriminator}", indented(discriminator))
    return text.replace("{generator}", indented(generator))


def equal(folder, text, edits, changes, *, bitwise=True, **options):
    done = changed(folder, text, edits, changes, **options)
    assert done.acted(*changes), {k: v for k, v in done.run.facts.items() if "change" in k}
    assert done.moved > 100 * CLOSE, "the change changes nothing"
    assert done.apart == 0 if bitwise else done.apart < CLOSE
    return done


BACKWARD = "errD.backward()"
R1 = [
    ("netD(real)", "netD(real.requires_grad_())"),
    (BACKWARD, "(errD + 5.0 * penalty(real_out, real)).backward()"),
]
R2 = [
    ("fake_out = netD(fake.detach())", "shown = fake.detach().requires_grad_()\n"
     "    fake_out = netD(shown)"),
    (BACKWARD, "(errD + 0.25 * penalty(fake_out, shown)).backward()"),
]  # fmt: skip
BOTH = [
    *R1[:1],
    *R2[:1],
    (BACKWARD, "(errD + (5 * penalty(real_out, real) + 0.25 * penalty(fake_out, shown)))"
     ".backward()"),
]  # fmt: skip


@pytest.mark.parametrize("child", [False, True])
def test_penalty_on_real_samples(child, tmp_path):
    done = equal(tmp_path, script(), R1, {"r1/netD": 10.0}, child=child)
    run = done.run
    assert "objective/errD" in run.series
    assert "objective/errG" not in run.series
    assert run.series["objective/errD"].value == pytest.approx(done.watched[::2], rel=1e-6)
    assert (run.series["loss/errD"].value > run.series["objective/errD"].value).all()


def test_penalty_on_generated_samples(tmp_path):
    equal(tmp_path, script(), R2, {"r2/netD": 0.5}, child=True)


def test_both_penalties(tmp_path):
    changes = {"r1/netD": 10.0, "r2/netD": 0.5}
    equal(tmp_path, script(), BOTH, changes, bitwise=False)


def test_as_a_forward_pass_of_its_own_would_have_it(tmp_path):
    more = "again = real.clone().requires_grad_()\n    "
    edits = [(BACKWARD, f"{more}(errD + 5.0 * penalty(netD(again), again)).backward()")]
    equal(tmp_path, script(), edits, {"r1/netD": 10.0}, bitwise=False)


SCALED = [("optG = torch", "scaler = torch.amp.GradScaler('cpu', init_scale=64.0)\noptG = torch"),
          (BACKWARD, "scaler.scale(errD).backward()"), ("optD.step()", "scaler.step(optD)"),
          ("optG.step()", "optG.step()\n    scaler.update()")]  # fmt: skip


def test_penalty_beside_a_scaled_loss(tmp_path):
    text = script()
    for old, new in SCALED:
        text = text.replace(old, new)
    edits = [R1[0], ("scale(errD)", "scale(errD + 5.0 * penalty(real_out, real))")]
    done = equal(tmp_path, text, edits, {"r1/netD": 10.0}, bitwise=False)
    assert "exit/watcher" not in done.run.facts


NOISY = """
real_in = real + 0.1 * torch.randn_like(real)
real_out = netD(real_in)
fake_out = netD(fake.detach() + 0.1 * torch.randn_like(real))
errD = F.binary_cross_entropy_with_logits(real_out, torch.ones_like(real_out))
errD = errD + F.binary_cross_entropy_with_logits(fake_out, torch.zeros_like(fake_out))
errD.backward()
"""
TWO_PASSES = """
real_out = netD(real)
errR = F.binary_cross_entropy_with_logits(real_out, torch.full_like(real_out, 0.9))
errR.backward()
fake_out = netD(fake.detach())
errF = F.binary_cross_entropy_with_logits(fake_out, torch.zeros_like(fake_out))
errF.backward()
errD = errR + errF
"""
UNDETACHED = """
real_out = netD(real)
fake_out = netD(fake)
errD = (real_out - 1).square().mean() + fake_out.square().mean()
errD.backward(retain_graph=True)
"""
WASSERSTEIN = """
with torch.no_grad():
    shown = netG(torch.randn(16, 4))
fake_out = netD(shown)
real_out = netD(real)
errD = fake_out.mean() - real_out.mean()
errD.backward()
"""
UPSIDE_DOWN = """
real_out = netD(real)
fake_out = netD(fake.detach())
errD = F.softplus(real_out).mean() + F.softplus(-fake_out).mean()
errD.backward()
"""
RELATIVISTIC = """
real_out = netD(real)
fake_out = netD(fake.detach())
errD = F.softplus(fake_out - real_out).mean()
errD.backward()
"""
RELATIVE_G = "errG = F.softplus(netD(real) - netD(fake)).mean()"
GAMES = {
    "noise hides what is made": (
        NOISY,
        GENERATOR,
        [("netD(real_in)", "netD(real_in.requires_grad_())"),
         (BACKWARD, "(errD + 5.0 * penalty(real_out, real_in)).backward()")],
    ),
    "a backward pass for each": (
        TWO_PASSES,
        GENERATOR,
        [R1[0], ("errR.backward()", "(errR + 5.0 * penalty(real_out, real)).backward()")],
    ),
    "least squares, not detached": (
        UNDETACHED,
        "errG = (netD(fake) - 1).square().mean()",
        [R1[0], ("errD.b", "(errD + 5.0 * penalty(real_out, real)).b")],
    ),
    "critic, made without gradients": (WASSERSTEIN, "errG = -netD(fake).mean()", R1),
    "real samples get low scores": (UPSIDE_DOWN, "errG = F.softplus(netD(fake)).mean()", R1),
    "relativistic, and so is the generator": (
        RELATIVISTIC,
        RELATIVE_G,
        [("real_out = netD(real)", "asked = real.clone().requires_grad_()\n"
          "    real_out = netD(asked)"),
         (BACKWARD, "(errD + 5.0 * penalty(real_out, asked)).backward()")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("game", GAMES)
def test_penalty_in_games_of_many_kinds(game, tmp_path):
    discriminator, generator, edits = GAMES[game]
    done = equal(tmp_path, script(discriminator, generator), edits, {"r1/netD": 10.0})
    assert "objective/errG" not in done.run.series


JOINT = """
both = torch.cat([real, fake.detach()])
out = netD(both)
wanted = torch.cat([torch.ones(16, 1), torch.zeros(16, 1)])
errD = F.binary_cross_entropy_with_logits(out, wanted)
errD.backward()
"""


@pytest.mark.parametrize(("kind", "half"), [("r1", ":16"), ("r2", "16:")])
def test_penalty_on_one_half_of_a_joint_batch(kind, half, tmp_path):
    slope = "torch.autograd.grad(out.sum(), both, create_graph=True)[0]"
    term = f"{slope}[{half}].square().sum(1).mean()"
    edits = [("netD(both)", "netD(both.requires_grad_())"),
             (BACKWARD, f"(errD + 5.0 * {term}).backward()")]  # fmt: skip
    equal(tmp_path, script(JOINT), edits, {f"{kind}/netD": 10.0}, bitwise=False)


CONDITIONAL = """
real_out = netD(torch.cat([sketch, real], 1))
fake_out = netD(torch.cat([sketch, fake.detach()], 1))
errD = F.softplus(-real_out).mean() + F.softplus(fake_out).mean()
errD.backward()
"""


def test_a_condition_that_was_joined_to_the_samples_counts_too(tmp_path):
    text = script(CONDITIONAL, "errG = F.softplus(-netD(torch.cat([sketch, fake], 1))).mean()")
    text = text.replace("nn.Linear(6, 16), nn.L", "nn.Linear(8, 16), nn.L")
    text = text.replace("    fake = netG", "    sketch = real[:, :2].round()\n    fake = netG")
    edits = [("netD(torch.cat([sketch, real], 1))",
              "netD(pair := torch.cat([sketch, real], 1).requires_grad_())"),
             (BACKWARD, "(errD + 5.0 * penalty(real_out, pair)).backward()")]  # fmt: skip
    equal(tmp_path, text, edits, {"r1/netD": 10.0})


WHOLE = """
class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.netG, self.netD = netG, netD

    def judge(self, x):
        return self.netD(x)


whole = Whole()
"""


def test_a_discriminator_that_is_a_part_of_a_model(tmp_path):
    text = script(SEPARATE.replace("netD(", "whole.judge(")).replace(
        "optG = torch", WHOLE + "optG = torch", 1
    )
    edits = [("judge(real)", "judge(real.requires_grad_())"), R1[1]]
    equal(tmp_path, text, edits, {"r1/whole.netD": 10.0})


BOTH_WAYS = """
code = encoder(real)
real_out = netD(torch.cat([real, code], 1))
fake_out = netD(torch.cat([fake, noise], 1))
errD = F.softplus(-real_out).mean() + F.softplus(fake_out).mean()
errD.backward(retain_graph=True)
"""


def test_nothing_is_penalised_where_nobody_can_say_what_is_real(tmp_path):
    text = script(BOTH_WAYS, "errG = F.softplus(-netD(torch.cat([fake, noise], 1))).mean()")
    text = text.replace("nn.Linear(6, 16), nn.L", "nn.Linear(10, 16), nn.L")
    text = text.replace("optG = torch", "encoder = nn.Linear(6, 4)\noptG = torch", 1)
    text = text.replace("fake = netG(torch.randn(16, 4))", "noise = torch.randn(16, 4)\n"
                        "    fake = netG(noise)")  # fmt: skip
    done = changed(tmp_path, text, [("losses = []", "losses = list()")], {"r1/netD": 10.0})
    assert done.apart == 0
    assert not done.acted("r1/netD")


CLASSES = """
class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2, inplace=True))
        self.kinds, self.head = nn.Embedding(3, 16), nn.Linear(16, 1)

    def forward(self, x, kind):
        return self.head((self.body(x.mul_(1.0)) * self.kinds(kind)).tanh())


netD = Judge()
"""


def test_labels_beside_the_samples_and_a_layer_that_writes_into_its_input(tmp_path):
    text = script(SEPARATE.replace("real)", "real.clone(), kind)").replace("ch())", "ch(), kind)"),
                  "errG = F.softplus(-netD(fake.clone(), kind)).mean()")  # fmt: skip
    text = text.replace("optG = torch", CLASSES + "optG = torch", 1)
    text = text.replace("    fake = netG", "    kind = torch.arange(16) % 3\n    fake = netG")
    edits = [("netD(real.clone(), kind)", "netD(real.requires_grad_().clone(), kind)"),
             (BACKWARD, "(errD + 5.0 * penalty(real_out, real)).backward()")]  # fmt: skip
    equal(tmp_path, text, edits, {"r1/netD": 10.0})


ONCE = """
class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g * 2


class Doubled(nn.Module):
    def forward(self, x):
        return Once.apply(x)


netD = nn.Sequential(Doubled(), *netD)
"""
REFUSED = {
    "cannot be differentiated twice": ("optG = torch", ONCE + "optG = torch"),
    "puts out no single tensor": (
        "netD = nn.Sequential(",
        "class Pair(nn.Sequential):\n"
        "    def forward(self, x):\n"
        "        out = super().forward(x)\n"
        "        return [out, out]\n"
        "netD = Pair(",
    ),
    "or by keywords": (
        "netD = nn.Sequential(",
        "class Keyed(nn.Sequential):\n"
        "    def forward(self, *, x):\n"
        "        return super().forward(x)\n"
        "netD = Keyed(",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_penalised_is_said_and_trains_as_it_did(why, tmp_path):
    text = script()
    if "single" in why:
        text = text.replace("netD(real)", "netD(real)[0]").replace("ch())", "ch())[1]")
        text = text.replace("netD(fake)", "netD(fake)[0]")
    if "keywords" in why:
        text = text.replace("netD(", "netD(x=")
    old, new = REFUSED[why]
    text = text.replace(old, new, 1)
    done = changed(tmp_path, text, [("losses = []", "losses = list()")], {"r1/netD": 10.0})
    assert done.apart == 0
    assert not done.acted("r1/netD")
    assert not hooks._global_forward_hooks and not hooks._global_forward_pre_hooks
    (said,) = [v for v in done.run.facts.values() if isinstance(v, str) and why in v]
    assert said.startswith("netD ")
