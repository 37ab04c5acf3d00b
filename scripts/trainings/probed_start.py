"""What a probe sees that no log shows: ways through a model that only use takes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from trainings import healthy, sick
from trainings.digits import batches, step


def half(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 48), nn.ReLU(), nn.Linear(48, outputs))


def turned(x: Tensor) -> Tensor:
    """The other domain: a digit on its side, dark on light."""
    return 1 - x.view(-1, 8, 8).transpose(1, 2).flip(2).flatten(1)


class Translator(nn.Module):
    """Two domains, an encoder and a decoder each."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder_a, self.encoder_b = half(64, 16), half(64, 16)
        self.decoder_a, self.decoder_b = half(16, 64), half(16, 64)

    def forward(self, a: Tensor) -> Tensor:
        return self.decoder_b(self.encoder_a(a))


def own(model: Translator, a: Tensor, b: Tensor) -> Tensor:
    return F.mse_loss(model.decoder_a(model.encoder_a(a)), a) + F.mse_loss(
        model.decoder_b(model.encoder_b(b)), b
    )


def alike(model: Translator, a: Tensor, b: Tensor) -> Tensor:
    return F.mse_loss(model.encoder_a(a), model.encoder_b(b))


def across(model: Translator, a: Tensor, b: Tensor) -> Tensor:
    return F.mse_loss(model(a), b)


def at_use(model: Translator, batch: tuple[Tensor, Tensor]) -> Tensor:
    return across(model, *batch)


def translate(loss, used=at_use, made=Translator, steps: int = 300) -> None:
    model = made()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for i, (x, _) in enumerate(batches(32, steps)):
        batch = x, turned(x)
        if i == steps // 2:
            unstuck.probe(model, batch, loss, optimizer, only=["start"], at_use=used)
        step(optimizer, loss(model, batch))


@sick("SKP003")
def domains_never_crossed():
    translate(lambda model, batch: own(model, *batch))


@sick("SKP003")
def domains_crossed_behind_a_cut():
    def loss(model: Translator, batch: tuple[Tensor, Tensor]) -> Tensor:
        a, _ = batch
        with torch.no_grad():
            crossed = model(a)
        again = F.mse_loss(model.decoder_a(model.encoder_b(crossed)), a)
        return F.mse_loss(model.decoder_a(model.encoder_a(a)), a) + 0.1 * again

    translate(loss)


@sick("SKP003")
def second_decoder_never_called():
    def loss(model: Translator, batch: tuple[Tensor, Tensor]) -> Tensor:
        a, b = batch
        kept = F.mse_loss(model.decoder_a(model.encoder_a(a)), a)
        return kept + 0.1 * alike(model, a, b)

    translate(loss)


@healthy
def domains_crossed():
    translate(lambda model, batch: own(model, *batch) + across(model, *batch))


@healthy
def domains_crossed_now_and_then():
    def loss(model: Translator, batch: tuple[Tensor, Tensor]) -> Tensor:
        often = bool(torch.rand(()) < 0.8)
        return own(model, *batch) + (across(model, *batch) if often else 0.0)

    translate(loss)


class Refiner(nn.Module):
    """Draws a digit from a spoilt one; at use it is asked three times, of what it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.draw = half(64, 32), half(32, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.draw(self.read(x))


@healthy
def refined_thrice_at_use():
    def loss(model: Refiner, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, _ = batch
        return F.mse_loss(model(x + 0.3 * torch.randn_like(x)), x)

    def thrice(model: Refiner, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, _ = batch
        return F.mse_loss(model(model(model(x + 0.3 * torch.randn_like(x)))), x)

    translate(loss, thrice, Refiner)


class Latent(nn.Module):
    """A net that works on codes of a coder which is kept as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.coder, self.decoder = half(16, 16), half(64, 16), half(16, 64)
        for part in (self.coder, self.decoder):
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.net(self.coder(x)))


@healthy
def drawn_by_a_frozen_decoder_at_use():
    def loss(model: Latent, batch: tuple[Tensor, Tensor]) -> Tensor:
        z = model.coder(batch[0])
        return F.mse_loss(model.net(z + 0.3 * torch.randn_like(z)), z)

    def drawn(model: Latent, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.mse_loss(model(batch[0]), batch[0])

    translate(loss, drawn, Latent)
