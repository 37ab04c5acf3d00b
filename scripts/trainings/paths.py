"""Pictures to pictures: what the output lives on, copies of the input, noise that is handed on."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from trainings import healthy, sick
from trainings.digits import batches
from trainings.pairs import tissues
from trainings.reconstruction import Unet, step

PROBES = ["path-reliance", "echo"]


def pictures(count: int) -> Tensor:
    """Smooth random anatomy (count, 1, 16, 16), 0 to 1."""
    return tissues(count)[1]


class Correcting(nn.Module):
    """x + f(x), f from zero."""

    def __init__(self, kernel: int = 3, width: int = 16) -> None:
        super().__init__()
        sizes = [1, width, width, width, 1]
        parts = []
        for inputs, outputs in itertools.pairwise(sizes):
            parts += [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU()]
        self.f = nn.Sequential(*parts[:-1])
        nn.init.zeros_(self.f[-1].weight)
        nn.init.zeros_(self.f[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


def fit(model, make, loss, steps=400, rate=2e-3, only=PROBES):
    """Train on what `make(count)` gives, inputs and answers; then probe."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        x, y = make(16)
        step(optimizer, loss(model(x), y))
    unstuck.probe(model, make(32), loss, optimizer, only=only)


def noisy(size):
    def make(count):
        clean = pictures(count)
        return clean + size * torch.randn_like(clean), clean

    return make


# Skips ---------------------------------------------------------------------------------


def twice(x: Tensor) -> tuple[Tensor, Tensor]:
    return x, x


def digits(count: int) -> Tensor:
    return next(batches(count, 1))[0].view(-1, 1, 8, 8)


@sick("SKP001")
def autoencoder_with_skips():
    fit(Unet(), lambda n: twice(digits(n)), F.l1_loss, steps=300, only=["path-reliance"])


@sick("SKP001")
def autoencoder_with_skips_on_tissues():
    fit(Unet(), lambda n: twice(pictures(n)), F.mse_loss, only=["path-reliance"])


@sick("SKP001")
def mirrored_with_skips_of_the_answer():
    class Mirror(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unet = Unet()

        def forward(self, x: Tensor, seen: Tensor) -> Tensor:
            return self.unet.decode(self.unet.encode(x)[0], self.unet.encode(seen)[1])

    def loss(model, batch):
        x, y = batch
        return F.l1_loss(model(x, y), y)

    def at_use(model, batch):
        x, y = batch
        return F.l1_loss(model(x, x), y)

    def make(count):
        x = digits(count)
        return x, x.flip(3).sqrt()

    model = Mirror()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(300):
        step(optimizer, loss(model, make(16)))
    unstuck.probe(model, make(32), loss, optimizer, only=["path-reliance"], at_use=at_use)


@healthy
def autoencoder_without_skips():
    encoder, decoder = (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU()),
        nn.Sequential(nn.Linear(32, 64), nn.Unflatten(1, (1, 8, 8))),
    )
    fit(nn.Sequential(encoder, decoder), lambda n: twice(digits(n)), F.l1_loss)


@healthy
def halves_from_halves_with_skips():
    """The missing half must come through the bottleneck."""

    def make(count):
        x = digits(count)
        return torch.cat([x[..., :4], torch.zeros_like(x[..., 4:])], 3), x

    fit(Unet(), make, F.l1_loss, steps=500)


@healthy
def tissues_between_contrasts():
    fit(Unet(16), tissues, F.l1_loss)


# Copies --------------------------------------------------------------------------------


def film(moving: float):
    """Two frames: tissue that moves down by two pixels, in this share of the films."""

    def make(count):
        x = pictures(count)
        moved = torch.rand(count, 1, 1, 1) < moving
        return x, torch.where(moved, x.roll(2, 2), x)

    return make


@sick("SKP002")
def next_frame_of_films_that_stand_still():
    fit(Correcting(), film(0.25), F.l1_loss)


@healthy
def next_frame_of_films_that_move():
    fit(Correcting(), film(1.0), F.l1_loss)


def scratched(count):
    """Smooth pictures; one pixel in eight is another picture's."""
    x = F.interpolate(torch.randn(count, 1, 4, 4), 16, mode="bicubic")
    return torch.where(torch.rand_like(x) < 0.125, x.roll(1, 0), x), x


@sick("SKP002")
def scratches_seen_pixel_by_pixel():
    """No pixel tells by itself that it is wrong, and seven of eight are right."""
    fit(Correcting(kernel=1), scratched, F.l1_loss)


@healthy
def scratches_seen_among_their_neighbours():
    fit(Correcting(), scratched, F.mse_loss)


@healthy
def residual_denoiser():
    fit(Correcting(), noisy(0.2), F.mse_loss)


@healthy
def residual_denoiser_of_little_noise():
    fit(Correcting(), noisy(0.05), F.mse_loss)


@healthy
def residual_denoiser_before_training():
    fit(Correcting(), noisy(0.2), F.mse_loss, steps=30)


@healthy
def finer_pictures():
    def make(count):
        x = pictures(count)
        coarse = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0, mode="bilinear")
        return coarse, x

    fit(Correcting(), make, F.l1_loss)


# Noise ---------------------------------------------------------------------------------


def repeated(shared: int, frames: int = 4, size: float = 0.4):
    """Two averages of so many noisy frames, of which they share some."""

    def make(count):
        clean = pictures(count)
        noise = size * torch.randn(2 * frames - shared, *clean.shape)
        return clean + noise[:frames].mean(0), clean + noise[-frames:].mean(0)

    return make


@sick("SKP004")
def averages_that_share_frames():
    fit(Unet(16), repeated(3), F.mse_loss, steps=500)


@sick("SKP004")
def answers_that_hold_the_same_noise():
    def make(count):
        scan = pictures(count) + 0.3 * torch.randn(count, 1, 16, 16)
        return scan + 0.15 * torch.randn_like(scan), scan

    fit(Unet(16), make, F.mse_loss, steps=500)


@healthy
def averages_of_frames_of_their_own():
    fit(Unet(16), repeated(0), F.mse_loss, steps=500)


@healthy
def unet_denoiser_of_tissues():
    fit(Unet(16), noisy(0.15), F.mse_loss, steps=500)


@healthy
def unet_denoiser_of_little_noise():
    fit(Unet(16), noisy(0.05), F.mse_loss, steps=500)


@healthy
def unet_denoiser_of_digits():
    fit(Unet(), lambda n: ((x := digits(n)) + 0.3 * torch.randn_like(x), x), F.l1_loss)


@healthy
def unet_denoiser_of_small_noise_on_digits():
    fit(Unet(), lambda n: ((x := digits(n)) + 0.1 * torch.randn_like(x), x), F.l1_loss)
