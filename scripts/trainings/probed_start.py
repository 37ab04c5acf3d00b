"""What a probe sees and no log shows: ways only use takes, answers that stand in the input."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, batches, step


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


class Strokes(nn.Module):
    """Grey levels (n, 8, 8) -> scores (n, 4, 8, 8), by convolutions blind to what follows."""

    def __init__(self, *, sees_itself: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 24, 5, padding=2)
        self.later = nn.Conv2d(24, 24, 3, padding=1)
        self.scores = nn.Conv2d(24, 4, 1)
        self.sees_itself = sees_itself

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.one_hot(x, 4).permute(0, 3, 1, 2).float()
        for conv, itself in ((self.first, self.sees_itself), (self.later, True)):
            weight = conv.weight * behind(conv.kernel_size[0], itself)
            hidden = F.relu(F.conv2d(hidden, weight, conv.bias, padding=conv.padding))
        return self.scores(hidden)


def behind(size: int, itself: bool) -> Tensor:
    """1 where a pixel above or to the left is read, and the pixel itself."""
    mask = torch.zeros(size * size)
    mask[: size * size // 2 + itself] = 1
    return mask.view(size, size)


def draw(*, sees_itself: bool) -> None:
    model = Strokes(sees_itself=sees_itself)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return F.cross_entropy(model(batch), batch)

    for i, (x, _) in enumerate(batches(32, 250)):
        levels = (x * 3.999).long().view(-1, 8, 8)
        if i == 20:
            unstuck.probe(model, levels, loss, optimizer, only=["future"])
        step(optimizer, loss(model, levels))


@sick("SEQ003")
def pixels_that_see_themselves():
    draw(sees_itself=True)


@healthy
def pixels_from_those_before():
    draw(sees_itself=False)


class Forecast(nn.Module):
    """A series (n, t, 2) -> its next values."""

    def __init__(self, *, both_ways: bool) -> None:
        super().__init__()
        self.read = nn.GRU(2, 24, batch_first=True, bidirectional=both_ways)
        self.tell = nn.Linear(48 if both_ways else 24, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.tell(self.read(x)[0])


def forecast(*, both_ways: bool) -> None:
    """Two swings that drift, seen through noise."""
    model = Forecast(both_ways=both_ways)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    time = torch.arange(41.0)[None, :, None]
    for i in range(300):
        phase, pace = 6.3 * torch.rand(32, 1, 2), 0.2 + 0.3 * torch.rand(32, 1, 2)
        series = torch.sin(phase + pace * time) + 0.2 * torch.randn(32, 41, 2)
        x, y = series[:, :-1], series[:, 1:]
        if i == 20:
            unstuck.probe(model, (x, y), F.mse_loss, optimizer, only=["future"])
        step(optimizer, F.mse_loss(model(x), y))


@sick("SEQ003")
def forecast_read_both_ways():
    forecast(both_ways=True)


@healthy
def forecast_read_forwards():
    forecast(both_ways=False)


def of_a_table(*, with_label: bool) -> None:
    """Is it an even digit? From pixels, and from a column that somebody forgot to take out."""
    even = (LABELS % 2 == 0).float()
    table = torch.cat([IMAGES, (even - 0.5)[:, None]], 1) if with_label else IMAGES
    model = nn.Sequential(nn.Linear(table.shape[1], 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss(scores: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(scores[:, 0], target)

    for i in range(300):
        chosen = torch.randint(0, TRAIN, (64,))
        x, y = table[chosen], even[chosen]
        if i == 20:
            unstuck.probe(model, (x, y), loss, optimizer, only=["future"])
        step(optimizer, loss(model(x), y))


@sick("SEQ003")
def label_left_in_the_table():
    of_a_table(with_label=True)


@healthy
def table_without_its_label():
    of_a_table(with_label=False)
