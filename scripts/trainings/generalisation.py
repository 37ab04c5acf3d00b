"""Curves of training and validation, broken batches, weak judges and half precision, on digits."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from trainings import healthy, sick
from trainings.adversarial import generator, judge
from trainings.digits import IMAGES, LABELS, TRAIN, batches, convolutions, perceptron

Rows = tuple[Tensor, Tensor]
HELD_OUT = (IMAGES[TRAIN:], LABELS[TRAIN:])


def step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def judged(model: nn.Module, rows: Rows) -> tuple[float, float]:
    """Cross-entropy and accuracy."""
    model.eval()
    with torch.no_grad():
        out = model(rows[0])
    model.train()
    return float(F.cross_entropy(out, rows[1])), float((out.argmax(1) == rows[1]).float().mean())


def fit_and_judge(model, optimizer, epochs, held_out: Callable[[], Rows], seen=None, **options):
    """Epochs of 20 steps, each followed by an evaluation of held-out rows and of training rows."""
    size, wrong = options.get("size", 32), options.get("wrong", 0.0)
    for _ in range(epochs):
        for x, y in batches(size, 20):
            lost = torch.rand(len(y)) < wrong
            y = torch.where(lost, torch.randint(0, 10, y.shape), y)
            step(optimizer, F.cross_entropy(model(options.get("change", torch.clone)(x)), y))
        loss, accuracy = judged(model, held_out())
        seen_loss, seen_accuracy = judged(model, seen or (IMAGES[:300], LABELS[:300]))
        unstuck.log(**{
            "metric/val/loss": loss, "metric/val/accuracy": accuracy,
            "metric/train/loss": seen_loss, "metric/train/accuracy": seen_accuracy,
        })  # fmt: skip


def adam(model, rate=1e-3):
    return torch.optim.Adam(model.parameters(), lr=rate)


# Validation that is no validation -----------------------------------------------------------


@sick("GEN004")
def validated_on_the_training_set():
    model, rows = perceptron(), (IMAGES[:300], LABELS[:300])
    fit_and_judge(model, adam(model), 25, lambda: rows, seen=rows)


@sick("GEN004")
def same_loader_for_both_splits():
    """An autoencoder whose two loaders were built from one list of files."""
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64))
    optimizer = adam(model, 3e-3)
    train_rows = held_out_rows = IMAGES[:400]
    for _ in range(20):
        for x, _ in batches(32, 20, first=400):
            step(optimizer, F.mse_loss(model(x), x))
        with torch.no_grad():
            train_error = (model(train_rows) - train_rows).square().mean()
            val_error = (model(held_out_rows) - held_out_rows).square().mean()
        unstuck.log(**{"metric/train/mse": train_error, "metric/val/mse": val_error})


@sick("GEN004")
def answers_compared_with_themselves():
    """A metric that is handed the labels twice."""
    model = perceptron()
    optimizer = adam(model, 3e-4)
    for _ in range(20):
        for x, y in batches(32, 15):
            step(optimizer, F.cross_entropy(model(x), y))
        predicted = truth = HELD_OUT[1]
        unstuck.log(val_accuracy=float((predicted == truth).float().mean()))


@healthy
def judged_on_both_splits():
    model = perceptron()
    fit_and_judge(model, adam(model), 25, lambda: HELD_OUT)


# Validation too noisy to choose a checkpoint by ------------------------------------------------


def any_of_held_out(count: int, wrong: float = 0.0) -> Rows:
    chosen = torch.randint(TRAIN, len(LABELS), (count,))
    lost = torch.rand(count) < wrong
    return IMAGES[chosen], torch.where(lost, torch.randint(0, 10, (count,)), LABELS[chosen])


@sick("GEN003")
def validated_on_two_samples():
    model = perceptron()
    fit_and_judge(model, adam(model, 3e-4), 40, lambda: any_of_held_out(2, 0.6), wrong=0.6)


@sick("NRM002")
def judged_with_dropout_left_on():
    """Four rows through a dropout of 0.9, which nobody turned off for the evaluation."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.9), nn.Linear(64, 10))
    optimizer = adam(model)
    for _ in range(40):
        for x, y in batches(32, 15):
            step(optimizer, F.cross_entropy(model(x), y))
        x, y = any_of_held_out(4)
        with torch.no_grad():
            unstuck.log(val_accuracy=float((model(x).argmax(1) == y).float().mean()))


@sick("GEN003")
def error_on_one_noisy_row():
    """One fresh row an evaluation, whose target is more noise than signal."""
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = adam(model)

    def ink(x: Tensor) -> Tensor:
        return 2 * x.mean(1, keepdim=True) + 0.7 * torch.randn(len(x), 1)

    for _ in range(60):
        for x, _ in batches(64, 10):
            step(optimizer, F.smooth_l1_loss(model(x), ink(x)))
        x, _ = any_of_held_out(1)
        with torch.no_grad():
            unstuck.log(val_mae=float((model(x) - ink(x)).abs().mean()))


# Broken batches -----------------------------------------------------------------------------


def in_order(model, optimizer, epochs, count, change, loss_of):
    """Fixed batches of 32 in a fixed order, as a loader without shuffling hands them out."""
    rows = torch.randperm(TRAIN)[: 32 * count].view(count, 32)
    for _ in range(epochs):
        for place, chosen in enumerate(rows):
            x, y = change(place, IMAGES[chosen], LABELS[chosen])
            step(optimizer, loss_of(model(x), y))


@sick("DAT009")
def shard_in_other_units():
    model = perceptron()
    in_order(
        model, adam(model), 20, 30,
        lambda place, x, y: (x * 20, y[torch.randperm(32)]) if place == 14 else (x, y),
        F.cross_entropy,
    )  # fmt: skip


@sick("DAT009")
def rows_shifted_against_their_answers():
    model = convolutions()
    in_order(
        model, adam(model, 3e-4), 16, 40,
        lambda place, x, y: (x, y.flip(0) if place == 24 else y), F.cross_entropy,
    )  # fmt: skip


@sick("DAT009")
def one_target_with_a_slipped_point():
    """Every epoch is shuffled, every batch used twice; one target of 480 is a hundredfold."""
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    ink = IMAGES[:480].mean(1, keepdim=True)
    ink[77] *= 100
    for epoch in range(20):
        for chosen in torch.randperm(480).view(30, 16):
            for _ in range(2):
                step(optimizer, F.l1_loss(model(IMAGES[chosen]), ink[chosen]))
                unstuck.log(epoch=epoch)


@healthy
def in_order_and_sound():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    in_order(model, optimizer, 20, 30, lambda _, x, y: (x, y), F.cross_entropy)


@healthy
def last_batch_of_two():
    """47 batches an epoch; the last one holds what was left over."""
    model = perceptron()
    optimizer = adam(model)
    for _ in range(12):
        order = torch.randperm(1474)
        for chosen in order.split(32):
            step(optimizer, F.cross_entropy(model(IMAGES[chosen]), LABELS[chosen]))


# Models that learn next to nothing -----------------------------------------------------------


@sick("GEN002")
def one_hidden_unit():
    model = perceptron(width=1, activation=nn.Tanh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-2, weight_decay=0.1)
    fit_and_judge(model, optimizer, 40, lambda: HELD_OUT)


@sick("GEN002")
def code_of_one_random_unit():
    """Only the last layer is trained, on one random feature of the picture."""
    encoder = nn.Linear(64, 1).requires_grad_(False)
    model = nn.Sequential(encoder, nn.Tanh(), nn.Linear(1, 10))
    fit_and_judge(model, adam(model[2], 0.1), 40, lambda: HELD_OUT)


class Corner(nn.Module):
    """The first four of 64 pixels: a crop that was meant to keep the whole."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :4]


@sick("GEN002")
def corner_of_the_picture():
    model = nn.Sequential(Corner(), nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 10))
    fit_and_judge(model, adam(model, 2e-2), 40, lambda: HELD_OUT)


@healthy
def few_labels_are_right():
    """Four of five labels are drawn at random, so the training loss stays high: all is well."""
    model = perceptron()
    fit_and_judge(model, adam(model), 40, lambda: HELD_OUT, wrong=0.8)


# Judges that do not judge ---------------------------------------------------------------------


def play(rate_d, steps=600, blur=0.0, decay=0.0):
    netG, netD = generator(), judge()
    optimizerG = torch.optim.Adam(netG.parameters(), lr=1e-3, betas=(0.5, 0.9))
    optimizerD = torch.optim.AdamW(netD.parameters(), rate_d, (0.5, 0.9), weight_decay=decay)
    for x, _ in batches(32, steps):
        fake = netG(torch.randn(len(x), 16))

        def seen(rows: Tensor) -> Tensor:
            return netD(rows + blur * torch.randn_like(rows))

        errD = F.softplus(-seen(x)).mean() + F.softplus(seen(fake.detach())).mean()
        optimizerD.zero_grad()
        errD.backward()
        optimizerD.step()
        errG = F.softplus(-seen(fake)).mean()
        optimizerG.zero_grad()
        errG.backward()
        optimizerG.step()


@sick("ADV005")
def judge_that_hardly_learns():
    play(rate_d=1e-8)


@sick("ADV005")
def judge_decayed_to_nothing():
    play(rate_d=1e-3, decay=300.0)


@sick("ADV005")
def judge_of_blurred_pictures():
    play(rate_d=1e-5, blur=3.0)


# Half precision -------------------------------------------------------------------------------


@healthy
def mixed_precision():
    model = perceptron()
    optimizer = adam(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=50)
    for x, y in batches(32, 500):
        with torch.autocast("cpu", dtype=torch.float16):
            out = model(x)
        loss = F.cross_entropy(out.float(), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        unstuck.log(**{"loss_scale/scaler": scaler.get_scale()})


def in_half(loss_of, steps=300, rate=0.05, start=65536.0, growth=200):
    """Float16 under a scaler by hand: a step with an infinite gradient moves nothing."""
    model, scale, good = perceptron(), start, 0
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for x, y in batches(32, steps):
        with torch.autocast("cpu", dtype=torch.float16):
            out = model(x)
        loss = loss_of(out, y)
        optimizer.zero_grad()
        (loss * scale).backward()
        finite = all(bool(p.grad.isfinite().all()) for p in model.parameters())
        for p in model.parameters():
            p.grad = p.grad / scale if finite else torch.zeros_like(p)
        optimizer.step()
        good = good + 1 if finite else 0
        unstuck.log(**{"loss_scale/scaler": scale})
        if not finite or good == growth:
            scale, good = scale * 2 if finite else scale / 2, 0


@sick("NUM002")
def logits_beyond_half():
    in_half(lambda out, y: F.cross_entropy((out * 3e5).half().float(), y))


@sick("NUM002")
def gradient_of_a_root_at_zero():
    """The loss is finite; the derivative of the root is not, at every step."""
    in_half(lambda out, y: F.cross_entropy(out.float(), y) + (out - out).float().sum().sqrt())


@sick("NUM002")
def logits_that_grow_beyond_half():
    """Sound at first; the surer the model is, the more rows no longer fit into float16."""
    in_half(
        lambda out, y: F.cross_entropy((out * 12000).half().float() / 12000, y), rate=0.3, steps=500
    )


@healthy
def half_precision_by_hand():
    in_half(lambda out, y: F.cross_entropy(out.float(), y), start=2.0**24, growth=50)
