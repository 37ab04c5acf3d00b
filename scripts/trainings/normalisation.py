"""Normalisation and modes: batches of two, validation in training mode, statistics that never move.

The networks are judged on held-out digits as a script would do it: a loss and a share of hits,
without gradients.
"""

import torch
import torch.nn.functional as F
from torch import nn

import unstuck
from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, batches, convolutions, step


def dropped(rate=0.5):
    return nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Dropout(rate), nn.Linear(128, 64), nn.ReLU(),
        nn.Dropout(rate), nn.Linear(64, 10),
    )  # fmt: skip


def normalised(momentum=0.1):
    return nn.Sequential(
        nn.Linear(64, 64), nn.BatchNorm1d(64, momentum=momentum), nn.ReLU(),
        nn.Linear(64, 64), nn.BatchNorm1d(64, momentum=momentum), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def judge(model, log=True):
    """Loss and share of hits on the held-out digits, in whatever mode the model is in."""
    with torch.no_grad():
        out = model(IMAGES[TRAIN:])
        loss = F.cross_entropy(out, LABELS[TRAIN:])
        hits = (out.argmax(1) == LABELS[TRAIN:]).float().mean()
    if log:
        unstuck.log(val_loss=float(loss), val_accuracy=float(hits))


def fit(model, optimizer, epochs=15, size=32, switch=True, back=True, log=True, steps=47):
    for _ in range(epochs):
        for x, y in batches(size, steps):
            step(optimizer, F.cross_entropy(model(x), y))
        if switch:
            model.eval()
        judge(model, log)
        if back:
            model.train()


@healthy
def dropout_off_for_validation():
    model = dropped()
    fit(model, torch.optim.Adam(model.parameters(), lr=2e-3))


@sick("NRM002")
def dropout_on_for_validation():
    model = dropped()
    fit(model, torch.optim.Adam(model.parameters(), lr=2e-3), switch=False)


@healthy
def running_statistics_for_validation():
    model = convolutions()
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3), epochs=8)


@sick("NRM002")
def batch_statistics_for_validation():
    model = convolutions()
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3), epochs=8, switch=False, log=False)


@sick("NRM002")
def never_back_to_training():
    model = nn.Sequential(normalised()[:-1], nn.Dropout(0.3), nn.Linear(64, 10))
    fit(model, torch.optim.Adam(model.parameters(), lr=2e-3), back=False)


@sick("NRM002")
def statistics_without_momentum():
    """`momentum=0.0`, as where 1 - momentum is meant: evaluated as if nothing was learned."""
    model = normalised(momentum=0.0)
    fit(model, torch.optim.Adam(model.parameters(), lr=2e-3))


@sick("NRM002")
def normalisations_that_do_not_normalise():
    """In evaluation mode from the first step on, with statistics nobody ever took."""
    model = normalised().eval()
    fit(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), back=False)


class Finetuned(nn.Module):
    """A backbone from elsewhere and a new head."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(*convolutions()[:-1])
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(512, 10))

    def forward(self, x):
        return self.head(self.backbone(x))


def pretrained():
    model = Finetuned()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for x, y in batches(32, 100):
        step(optimizer, F.cross_entropy(model(1 - x), y))  # elsewhere: white on black
    return model


@healthy
def frozen_backbone_evaluated():
    model = pretrained()
    model.backbone.eval().requires_grad_(False)
    optimizer = torch.optim.Adam(model.head.parameters(), lr=2e-3)
    for _ in range(8):
        for x, y in batches(32, 47):
            step(optimizer, F.cross_entropy(model(x), y))
        model.head.eval()
        judge(model)
        model.head.train()


@healthy
def statistics_kept_in_fine_tuning():
    """All weights learn; only the batch normalisations stay in evaluation mode."""
    model = pretrained()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
    for _ in range(8):
        model.train()
        for part in model.backbone.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()
        for x, y in batches(32, 47):
            step(optimizer, F.cross_entropy(model(x), y))
        model.eval()
        judge(model)


@healthy
def attacked_in_evaluation_mode():
    model = convolutions()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for x, y in batches(32, 300):
        model.eval()
        x.requires_grad_()
        attack = F.cross_entropy(model(x), y)
        slope = torch.autograd.grad(attack, x)[0]
        model.train()
        step(optimizer, F.cross_entropy(model((x + 0.05 * slope.sign()).detach()), y))


@healthy
def averaged_over_dropout():
    """Evaluated with its dropout on, ten times, on purpose: and once without."""
    model = dropped(0.2)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(8):
        for x, y in batches(32, 47):
            step(optimizer, F.cross_entropy(model(x), y))
        model.eval()
        judge(model)
        for part in model:
            part.train(isinstance(part, nn.Dropout))
        with torch.no_grad():
            out = torch.stack([model(IMAGES[TRAIN:]) for _ in range(10)]).mean(0)
        unstuck.log(val_averaged_loss=float(F.cross_entropy(out, LABELS[TRAIN:])))
        model.train()


@healthy
def pictures_drawn_in_training_mode():
    """A decoder of digits whose samples are looked at now and then."""
    decoder = nn.Sequential(
        nn.Linear(10, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.Sigmoid()
    )
    optimizer = torch.optim.Adam(decoder.parameters(), lr=2e-3)
    for i, (x, y) in enumerate(batches(32, 400)):
        step(optimizer, F.mse_loss(decoder(F.one_hot(y, 10).float()), x))
        if i % 50 == 49:
            with torch.no_grad():
                decoder(torch.eye(10)).mul(255).byte()


@sick("NRM001")
def batch_norm_of_two_samples():
    model = normalised()
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3), size=2, epochs=10)


@sick("NRM001")
def batch_norm_of_two_pictures():
    model = convolutions()
    deep = nn.Sequential(
        *model[:-2], nn.Conv2d(32, 64, 3, stride=2), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    fit(deep, torch.optim.Adam(deep.parameters(), lr=1e-3), size=2, epochs=10)


@healthy
def batch_norm_of_a_batch():
    model = normalised()
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3), size=32, epochs=10)


@healthy
def group_norm_of_two_pictures():
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.GroupNorm(4, 32), nn.ReLU(),
        nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3), size=2, epochs=10)


@healthy
def one_large_picture_at_a_time():
    """Noise taken away from one mosaic of 64 x 64 pixels: batch statistics of 4,096 pixels."""
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for i in range(300):
        tiles = IMAGES[torch.randint(0, TRAIN, (64,))].view(8, 8, 8, 8)
        x = tiles.permute(0, 2, 1, 3).reshape(1, 1, 64, 64)
        step(optimizer, F.mse_loss(model(x + 0.3 * torch.randn_like(x)), x))
        if i % 60 == 59:
            model.eval()
            with torch.no_grad():
                unstuck.log(val_loss=float(F.mse_loss(model(x + 0.3 * torch.randn_like(x)), x)))
            model.train()
