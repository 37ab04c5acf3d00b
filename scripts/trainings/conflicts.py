"""Terms of a loss against each other, and terms of two losses that ought to agree."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.adversarial import generator, judge
from trainings.digits import batches, perceptron


def painter(outputs: int = 64) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, outputs), nn.Sigmoid())


def mirrored(x: Tensor) -> Tensor:
    return x.view(-1, 8, 8).flip(2).flatten(1)


# One loss, two wishes ------------------------------------------------------------------------


@sick("LOS003")
def two_conventions_of_labels():
    """Two have labelled the digits; one calls an even digit 1, the other calls it 0."""
    model = nn.Sequential(perceptron(), nn.ReLU(), nn.Linear(10, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches(64, 400):
        even = (y % 2 == 0).float()
        ours = F.binary_cross_entropy_with_logits(model(x)[:, 0], even)
        noisy = x + 0.1 * torch.randn_like(x)
        theirs = F.binary_cross_entropy_with_logits(model(noisy)[:, 0], 1 - even)
        loss = ours + theirs
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@sick("LOS003")
def to_stay_and_to_be_mirrored():
    """The output shall be the input, and the input's mirror image."""
    model = painter()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for x, _ in batches(32, 400):
        x = (x > 0.4).float() - 0.5
        out = 2 * model(x) - 1
        identity = F.mse_loss(out, 2 * x)
        mirror = F.mse_loss(out, -2 * x)
        loss = identity + mirror
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def one_convention_of_labels():
    model = nn.Sequential(perceptron(), nn.ReLU(), nn.Linear(10, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches(64, 400):
        out, even = model(x)[:, 0], (y % 2 == 0).float()
        ours = F.binary_cross_entropy_with_logits(out[:32], even[:32])
        theirs = F.binary_cross_entropy_with_logits(out[32:], even[32:])
        loss = ours + theirs
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def to_stay_and_to_be_smooth():
    """A compromise that is wanted: smoother than the input, and like it."""
    model = painter()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for x, _ in batches(32, 400):
        out = model(x + 0.2 * torch.randn_like(x))
        fidelity = F.mse_loss(out, x)
        rough = out.view(-1, 8, 8).diff(dim=2).square().mean()
        loss = fidelity + 0.3 * rough
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def code_with_divergence():
    """A variational autoencoder: what the divergence pulls, the reconstruction pushes."""
    encoder, decoder = nn.Linear(64, 16), nn.Linear(8, 64)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=5e-3)
    for x, _ in batches(64, 500):
        mean, log_variance = encoder(x).chunk(2, 1)
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        reconstruction = F.mse_loss(decoder(z), x, reduction="sum") / len(x)
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
        loss = reconstruction + 0.2 * divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@healthy
def data_against_decay():
    """At the optimum of a sum its terms pull against each other, however well all is."""
    model = nn.Linear(64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for x, y in batches(128, 500):
        data = F.cross_entropy(model(x), y)
        decay = model.weight.square().sum()
        loss = data + 0.02 * decay
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# A term in both losses of a game -------------------------------------------------------------


def judge_with_kinds() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 48), nn.LeakyReLU(0.2), nn.Linear(48, 11))


def play_with_kinds(d_weight: float, g_weight: float, steps: int = 400) -> None:
    """A game in which the judge also names the kind, and the painter is to paint that kind."""
    netG, netD = generator(16 + 10), judge_with_kinds()
    optimizerG = torch.optim.Adam(netG.parameters(), lr=1e-3, betas=(0.5, 0.9))
    optimizerD = torch.optim.Adam(netD.parameters(), lr=5e-4, betas=(0.5, 0.9))
    for x, y in batches(32, steps):
        fake = netG(torch.cat([torch.randn(len(x), 16), F.one_hot(y, 10).float()], 1))
        hide = 0.3 * torch.randn_like(x)
        real_out, fake_out = netD(x + hide), netD(fake.detach() + hide)
        d_judge = F.softplus(-real_out[:, 0]).mean() + F.softplus(fake_out[:, 0]).mean()
        category = F.cross_entropy(real_out[:, 1:], y)
        d_loss = d_judge + d_weight * category
        optimizerD.zero_grad()
        d_loss.backward()
        optimizerD.step()
        out = netD(fake + hide)
        adversarial = F.softplus(-out[:, 0]).mean()
        category = F.cross_entropy(out[:, 1:], y)
        g_loss = adversarial + g_weight * category
        optimizerG.zero_grad()
        g_loss.backward()
        optimizerG.step()


@sick("LOS004")
def kinds_at_a_tenth_for_the_judge():
    play_with_kinds(0.1, 1.0)


@sick("LOS004")
def kinds_at_a_tenth_for_the_painter():
    play_with_kinds(1.0, 0.1)


@healthy
def kinds_at_one_weight():
    play_with_kinds(1.0, 1.0)


@healthy
def kinds_at_half_weight_for_the_judge():
    """Worth a remark, no alarm: the painter is nearly as good as with equal weights."""
    play_with_kinds(0.5, 1.0)


@healthy
def kinds_at_nearly_one_weight():
    play_with_kinds(1.0, 0.8)


# How much the judge matters ------------------------------------------------------------------


def repair(weigh, rate: float = 1e-3, steps: int = 400) -> None:
    """Two thirds of the pixels are missing; a mean squared error and a judge ask for them."""
    netG, netD = generator(64), judge(32, 64)
    optimizerG = torch.optim.Adam(netG.parameters(), lr=rate, betas=(0.5, 0.9))
    optimizerD = torch.optim.Adam(netD.parameters(), lr=3e-4, betas=(0.5, 0.9))
    for i, (x, _) in enumerate(batches(32, steps)):
        fake = netG(x * (torch.rand_like(x) < 0.35))
        hide = 0.3 * torch.randn_like(x)
        d_loss = F.softplus(-netD(x + hide)).mean() + F.softplus(netD(fake.detach() + hide)).mean()
        optimizerD.zero_grad()
        d_loss.backward()
        optimizerD.step()
        adv = F.softplus(-netD(fake + hide)).mean()
        pixels = F.mse_loss(fake, x)
        w_adv, w_pixels = weigh(i)
        g_loss = w_adv * adv + w_pixels * pixels
        optimizerG.zero_grad()
        g_loss.backward()
        optimizerG.step()


@sick("ADV003")
def judge_at_a_thousandth():
    repair(lambda i: (1e-3, 10.0))


@sick("ADV003")
def pixels_in_raw_units():
    """Pixels of 0..255 beside a judge of weight one: 65,025 times a mean squared error."""
    repair(lambda i: (1.0, 65025.0 / 4))


@sick("ADV002")
def judge_faded_out():
    """A schedule halves the judge's weight every thirty steps and never ends."""
    repair(lambda i: (0.5 ** (i / 30), 10.0), steps=500)


@sick("ADV002")
def pixels_ramped_up():
    """A schedule raises the pixels' weight, meant for a longer run, until nothing else counts."""
    repair(lambda i: (0.5, 3.0 * 1.03**i), steps=400)


@healthy
def judge_beside_pixels():
    repair(lambda i: (0.3, 10.0))


@healthy
def judge_at_a_tenth():
    repair(lambda i: (0.1, 10.0))


@healthy
def judge_warmed_up():
    """No judge at first, then ever more of it."""
    repair(lambda i: (min(1.0, i / 200), 10.0))


# One sample for all --------------------------------------------------------------------------


def imitate(rate_g: float, rate_d: float, turns: int, steps: int, noise: float = 0.0) -> None:
    netG, netD = generator(), judge()
    optimizerG = torch.optim.Adam(netG.parameters(), lr=rate_g, betas=(0.5, 0.9))
    optimizerD = torch.optim.Adam(netD.parameters(), lr=rate_d, betas=(0.5, 0.9))
    for x, _ in batches(32, steps):
        fake = netG(torch.randn(len(x), 16))
        hide = noise * torch.randn_like(x)
        d_loss = F.softplus(-netD(x + hide)).mean() + F.softplus(netD(fake.detach() + hide)).mean()
        optimizerD.zero_grad()
        d_loss.backward()
        optimizerD.step()
        for _ in range(turns):
            g_loss = F.softplus(-netD(netG(torch.randn(len(x), 16)) + hide)).mean()
            optimizerG.zero_grad()
            g_loss.backward()
            optimizerG.step()


@sick("ADV004")
def generator_far_ahead():
    imitate(3e-2, 3e-4, turns=2, steps=400)


@sick("ADV004")
def generator_in_leaps():
    imitate(2e-2, 3e-4, turns=3, steps=300)


@healthy
def one_turn_each():
    imitate(1e-3, 1e-3, turns=1, steps=500, noise=0.3)


@healthy
def two_turns_for_the_generator():
    imitate(1e-3, 1e-3, turns=2, steps=400, noise=0.3)
