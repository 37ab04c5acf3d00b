"""Games of two networks on digits: balanced, won by the discriminator, by a critic, with L1."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.digits import batches


def generator(inputs: int = 16) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2),
        nn.Linear(64, 64), nn.Sigmoid(),
    )  # fmt: skip


def judge(width: int = 32, inputs: int = 64) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
        nn.Linear(width, 1),
    )  # fmt: skip


def play(rate_g, rate_d, steps=600, width=32, noise=0.0):
    netG, netD = generator(), judge(width)
    optimizerG = torch.optim.Adam(netG.parameters(), lr=rate_g, betas=(0.5, 0.9))
    optimizerD = torch.optim.Adam(netD.parameters(), lr=rate_d, betas=(0.5, 0.9))
    for x, _ in batches(32, steps):
        fake = netG(torch.randn(len(x), 16))
        real_out = netD(x + noise * torch.randn_like(x))
        fake_out = netD(fake.detach() + noise * torch.randn_like(x))
        errD = F.softplus(-real_out).mean() + F.softplus(fake_out).mean()
        optimizerD.zero_grad()
        errD.backward()
        optimizerD.step()
        errG = F.softplus(-netD(fake + noise * torch.randn_like(x))).mean()
        optimizerG.zero_grad()
        errG.backward()
        optimizerG.step()


@healthy
def game_in_balance():
    play(rate_g=1e-3, rate_d=3e-4, noise=0.3)


@healthy
def game_in_balance_long():
    play(rate_g=1e-3, rate_d=1e-3, steps=1200, noise=0.5)


@sick("ADV001")
def discriminator_too_strong():
    play(rate_g=2e-5, rate_d=3e-3, width=128)


@healthy
def critic_with_penalty():
    netG, critic = generator(), judge()
    optimizerG = torch.optim.Adam(netG.parameters(), lr=5e-4, betas=(0.0, 0.9))
    optimizerC = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
    for i, (x, _) in enumerate(batches(32, 900)):
        fake = netG(torch.randn(len(x), 16))
        if i % 3 < 2:
            fake = fake.detach()
            mixed = torch.lerp(x, fake, torch.rand(len(x), 1)).requires_grad_(True)
            slope = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)[0]
            penalty = (slope.norm(dim=1) - 1).square().mean()
            critic_loss = critic(fake).mean() - critic(x).mean() + 10 * penalty
            optimizerC.zero_grad()
            critic_loss.backward()
            optimizerC.step()
        else:
            generator_loss = -critic(fake).mean()
            optimizerG.zero_grad()
            generator_loss.backward()
            optimizerG.step()


class Painter:
    """Paired translation by a hand-made class: losses are attributes, L1 weighs a hundred."""

    def __init__(self, rate_g: float, rate_d: float, width: int, noise: float) -> None:
        self.netG, self.netD = generator(64), judge(width, 128)
        self.optimizer_G = torch.optim.Adam(self.netG.parameters(), lr=rate_g, betas=(0.5, 0.9))
        self.optimizer_D = torch.optim.Adam(self.netD.parameters(), lr=rate_d, betas=(0.5, 0.9))
        self.noise = noise

    def optimize(self, a: Tensor, b: Tensor) -> None:
        fake = self.netG(a)
        hide = self.noise * torch.randn_like(a)
        real_out = self.netD(torch.cat([a, b + hide], 1))
        fake_out = self.netD(torch.cat([a, fake.detach() + hide], 1))
        self.d_loss = (F.softplus(-real_out).mean() + F.softplus(fake_out).mean()) / 2
        self.optimizer_D.zero_grad()
        self.d_loss.backward()
        self.optimizer_D.step()
        self.adv = F.softplus(-self.netD(torch.cat([a, fake + hide], 1))).mean()
        self.l1 = F.l1_loss(fake, b)
        self.g_loss = self.adv + 100 * self.l1
        self.optimizer_G.zero_grad()
        self.g_loss.backward()
        self.optimizer_G.step()


@healthy
def paired_game_with_l1():
    painter = Painter(rate_g=1e-3, rate_d=1e-4, width=32, noise=0.5)
    for x, _ in batches(32, 600):
        painter.optimize(x, x.view(-1, 8, 8).flip(2).sqrt().flatten(1))


@sick("ADV001")
def paired_game_lost():
    painter = Painter(rate_g=2e-5, rate_d=2e-3, width=256, noise=0.0)
    for x, _ in batches(32, 600):
        painter.optimize(x, (x.view(-1, 8, 8).flip(2) > 0.4).float().flatten(1))
