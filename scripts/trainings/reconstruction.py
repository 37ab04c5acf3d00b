"""Networks that draw digits: autoencoders, a VAE, a denoiser, U-nets, dead and orphaned parts."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from trainings import healthy, sick
from trainings.digits import batches
from unstuck.lab.paths import path_reliance


class Autoencoder(nn.Module):
    def __init__(self, code: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, code))
        self.decoder = nn.Sequential(nn.Linear(code, 32), nn.ReLU(), nn.Linear(32, 64))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class Unet(nn.Module):
    """Two levels, 8x8 -> 4x4 -> 2x2, skips joined by concatenation."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.outer = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU())
        self.inner = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU())
        self.bottleneck = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, 2, 1), nn.ReLU())
        self.up = nn.ConvTranspose2d(2 * width, 2 * width, 4, 2, 1)
        self.join = nn.Sequential(nn.Conv2d(4 * width, width, 3, padding=1), nn.ReLU())
        self.last = nn.ConvTranspose2d(width, width, 4, 2, 1)
        self.out = nn.Conv2d(2 * width, 1, 3, padding=1)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        first = self.outer(x)
        second = self.inner(first)
        return self.bottleneck(second), [first, second]

    def decode(self, z: Tensor, skips: list[Tensor]) -> Tensor:
        inner = self.join(torch.cat([self.up(z).relu(), skips[1]], 1))
        return self.out(torch.cat([self.last(inner).relu(), skips[0]], 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(*self.encode(x))


def step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@healthy
def autoencoder():
    model = Autoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for x, _ in batches(32, 400):
        loss = F.mse_loss(model(x), x)
        step(optimizer, loss)


@healthy
def autoencoder_accumulating():
    model = Autoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for i, (x, _) in enumerate(batches(8, 1200)):
        loss = F.mse_loss(model(x), x)
        (loss / 4).backward()
        if i % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()


def variational(weight):
    encoder, decoder = (
        nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16)),
        nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64)),
    )
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    for i, (x, _) in enumerate(batches(32, 500)):
        mean, spread = encoder(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (spread / 2).exp()
        recon = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") / len(x)
        kl = -0.5 * (1 + spread - mean.square() - spread.exp()).sum() / len(x)
        loss = recon + weight(i) * kl
        step(optimizer, loss)


@healthy
def variational_autoencoder():
    variational(lambda i: 1.0)


@healthy
def variational_autoencoder_annealed():
    variational(lambda i: min(1.0, i / 200))


@healthy
def denoising_diffusion():
    model = nn.Sequential(
        nn.Linear(65, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 64)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for x, _ in batches(64, 600):
        x, noise, t = x * 2 - 1, torch.randn(len(x), 64), torch.rand(len(x), 1)
        noisy = (1 - t).sqrt() * x + t.sqrt() * noise
        loss = F.mse_loss(model(torch.cat([noisy, t], 1)), noise)
        step(optimizer, loss)


@healthy
def residual_branches_from_zero():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
            nn.init.zeros_(self.second.weight)
            nn.init.zeros_(self.second.bias)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.second(self.first(x).relu())

    model = nn.Sequential(Block(), Block(), Block(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches(32, 300):
        loss = F.cross_entropy(model(x), y)
        step(optimizer, loss)


@healthy
def unet_denoiser():
    model = Unet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for x, _ in batches(16, 300):
        x = x.view(-1, 1, 8, 8)
        loss = F.l1_loss(model(x + 0.3 * torch.randn_like(x)), x)
        step(optimizer, loss)
    with torch.no_grad():
        z, skips = model.encode(x + 0.3 * torch.randn_like(x))
    unstuck.note(path_reliance("denoise", model.decode, z, skips, lambda out: F.l1_loss(out, x)))


@sick("SKP001")
def unet_copies():
    model = Unet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for x, _ in batches(16, 300):
        x = x.view(-1, 1, 8, 8)
        loss = F.l1_loss(model(x), x)
        step(optimizer, loss)
    with torch.no_grad():
        z, skips = model.encode(x)
    unstuck.note(path_reliance("copy", model.decode, z, skips, lambda out: F.l1_loss(out, x)))


@sick("SKP001")
def unet_with_skips_of_the_answer():
    model = Unet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for x, _ in batches(16, 300):
        x = x.view(-1, 1, 8, 8)
        target = x.flip(3).sqrt()
        z, own = model.encode(x)
        _, answers = model.encode(target)
        loss = F.l1_loss(model.decode(z, answers), target)
        step(optimizer, loss)
    unstuck.note(
        path_reliance(
            "mirror", model.decode, z, answers, lambda out: F.l1_loss(out, target), known=own
        )
    )


@sick("GRD005")
def decoder_from_zero():
    model = Autoencoder()
    for parameter in model.decoder.parameters():
        nn.init.zeros_(parameter)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for x, _ in batches(32, 300):
        loss = F.mse_loss(model(x), x)
        step(optimizer, loss)


@sick("GRD005")
def classifier_from_zero():
    model = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    for layer in model[2:]:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for x, y in batches(32, 300):
        loss = F.cross_entropy(model(x), y)
        step(optimizer, loss)


@healthy
def probe_on_served_features():
    backbone, head = nn.Sequential(nn.Linear(64, 128), nn.ReLU()), nn.Linear(128, 10)
    model = nn.Sequential(backbone, head)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for x, y in batches(32, 300):
        with torch.no_grad():
            features = backbone(x)
        loss = F.cross_entropy(head(features), y)
        step(optimizer, loss)


@sick("OPT010")
def encoder_without_optimizer():
    model = Autoencoder(code=2)
    optimizer = torch.optim.Adam(model.decoder[2:].parameters(), lr=1e-3)
    for x, _ in batches(32, 300):
        loss = F.mse_loss(model(x), x)
        step(optimizer, loss)


@healthy
def loss_network_not_frozen():
    judge = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
    model = Autoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for x, _ in batches(32, 400):
        y = model(x)
        pixels = F.mse_loss(y, x)
        features = F.mse_loss(judge(y), judge(x))
        loss = pixels + 0.5 * features
        step(optimizer, loss)


def pretrain(model, steps):
    """Plain gradient descent by hand: with no backward call and no optimizer it is not recorded."""
    parameters = list(model.parameters())
    for x, _ in batches(64, steps):
        gradients = torch.autograd.grad(F.mse_loss(model(x), x), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= gradient


@healthy
def tuned_from_good_weights():
    model = Autoencoder(code=16)
    pretrain(model, 3000)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    for x, _ in batches(32, 300):
        loss = F.mse_loss(model(x), x)
        step(optimizer, loss)


@healthy
def adapted_at_low_rank():
    class Adapted(nn.Module):
        def __init__(self, layer: nn.Linear) -> None:
            super().__init__()
            self.layer = layer.requires_grad_(False)
            self.down = nn.Linear(layer.in_features, 4, bias=False)
            self.up = nn.Linear(4, layer.out_features, bias=False)
            nn.init.zeros_(self.up.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) + self.up(self.down(x))

    model = Autoencoder(code=16)
    pretrain(model, 500)
    for part in (model.encoder, model.decoder):
        for i in (0, 2):
            part[i] = Adapted(part[i])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for x, _ in batches(32, 300):
        loss = F.mse_loss(model(x.flip(1)), x.flip(1))
        step(optimizer, loss)
