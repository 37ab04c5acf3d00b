"""Classifiers of digits: rates, depth, dead units, scale of inputs, schedules."""

import torch
import torch.nn.functional as F
from torch import nn

import unstuck
from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, Rows, batches, convolutions, perceptron


def fit(model, optimizer, steps=300, size=32, schedule=None, scale=1.0, shift=0.0, first=TRAIN):
    for x, y in batches(size, steps, first):
        loss = F.cross_entropy(model(x * scale + shift), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()


@healthy
def perceptron_adam():
    model = perceptron()
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3), steps=600)


@healthy
def perceptron_fast_adam():
    model = perceptron()
    fit(model, torch.optim.Adam(model.parameters(), lr=2e-2))


@healthy
def perceptron_cosine_sgd():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit(model, optimizer, schedule=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300))


@healthy
def convolutions_adam():
    model = convolutions()
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3))


@healthy
def convolutions_sgd_tiny_batch():
    model = convolutions()
    fit(model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), size=4, steps=500)


@healthy
def perceptron_sgd_batch_of_two():
    model = perceptron()
    fit(model, torch.optim.SGD(model.parameters(), lr=0.03), size=2, steps=800)


@healthy
def transformer_adamw_warmup():
    model = Rows()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=50)
    fit(model, optimizer, schedule=warmup, steps=500)


@healthy
def linear_from_zero():
    model = nn.Linear(64, 10)
    nn.init.zeros_(model.weight)
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-2))


@healthy
def perceptron_slow_sgd():
    model = perceptron()
    fit(model, torch.optim.SGD(model.parameters(), lr=3e-3), steps=600)


@healthy
def normalised_inside():
    model = nn.Sequential(nn.BatchNorm1d(64), perceptron())
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3), scale=255.0)


@healthy
def deep_relu_kaiming():
    layers = [nn.Linear(64, 64)]
    for _ in range(10):
        layers += [nn.ReLU(), nn.Linear(64, 64)]
    model = nn.Sequential(*layers, nn.ReLU(), nn.Linear(64, 10))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3), steps=400)


@healthy
def wide_sparse_relu():
    model = perceptron(width=512)
    fit(model, torch.optim.Adam(model.parameters(), lr=3e-3), size=8, steps=400)


@sick("OPT001")
def rate_too_high_adam():
    model = perceptron()
    fit(model, torch.optim.Adam(model.parameters(), lr=0.3))


@sick("OPT001")
def rate_too_high_sgd():
    model = convolutions()
    fit(model, torch.optim.SGD(model.parameters(), lr=2.0, momentum=0.9))


@sick("OPT001")
def rate_too_high_transformer():
    model = Rows()
    fit(model, torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9))


@sick("OPT001")
def schedule_that_grows():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    fit(model, optimizer, 500, schedule=torch.optim.lr_scheduler.ExponentialLR(optimizer, 1.02))


@sick("OPT003")
def labels_that_get_lost():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step, (x, y) in enumerate(batches(32, 500)):
        y = y[torch.randperm(len(y))] if step > 250 else y
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@sick("OPT004")
def labels_without_meaning():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches(64, 400):
        loss = F.cross_entropy(model(x), y[torch.randperm(len(y))])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@sick("OPT004")
def rate_far_too_low():
    model = perceptron()
    fit(model, torch.optim.SGD(model.parameters(), lr=1e-6))


@sick("GRD001")
def deep_sigmoid():
    layers = [nn.Linear(64, 64)]
    for _ in range(7):
        layers += [nn.Sigmoid(), nn.Linear(64, 64)]
    model = nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(64, 10))
    fit(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), steps=400)


@sick("GRD001")
def deeper_sigmoid_adam():
    layers = [nn.Linear(64, 64)]
    for _ in range(11):
        layers += [nn.Sigmoid(), nn.Linear(64, 64)]
    model = nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(64, 10))
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-4), steps=400)


@sick("ACT001")
def one_batch_that_kills():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for step, (x, y) in enumerate(batches(32, 400)):
        loss = F.cross_entropy(model(x * (3000.0 if step == 60 else 1.0)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@sick("DAT001")
def raw_pixels_sgd():
    model = perceptron()
    fit(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), scale=255.0)


@healthy
def raw_pixels_before_batchnorm():
    model = convolutions()
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3), scale=255.0)


@healthy
def raw_pixels_before_tanh():
    model = perceptron(activation=nn.Tanh)
    fit(model, torch.optim.Adam(model.parameters(), lr=1e-3), scale=255.0)


@sick("DAT001")
def raw_readings_regression():
    """Counts of a sensor in the thousands, straight into a small network."""
    model = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    for x, _ in batches(32, 300):
        loss = F.mse_loss(model(x * 4000).squeeze(1), x.mean(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@sick("NUM001")
def root_of_zero():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step, (x, y) in enumerate(batches(32, 300)):
        out = model(x)
        order = torch.arange(32).roll(1) if step < 120 else torch.arange(32).flip(0).clamp(max=20)
        apart = (out - out[order]).square().sum(1).sqrt().mean()  # 0 where order keeps a place
        loss = F.cross_entropy(out, y) + 0.01 * apart
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@sick("GEN001")
def few_samples():
    model = perceptron(width=256)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    noisy = LABELS.clone()
    flipped = torch.rand(len(noisy)) < 0.3
    noisy[flipped] = torch.randint(0, 10, (int(flipped.sum()),))
    for _ in range(40):
        model.train()
        for _ in range(10):
            chosen = torch.randint(0, 150, (32,))
            loss = F.cross_entropy(model(IMAGES[chosen]), noisy[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            out = model(IMAGES[TRAIN:])
            unstuck.log(
                val_loss=float(F.cross_entropy(out, noisy[TRAIN:])),
                val_accuracy=float((out.argmax(1) == noisy[TRAIN:]).float().mean()),
            )


@healthy
def validated():
    model = perceptron()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    for _ in range(20):
        model.train()
        fit(model, optimizer, steps=30)
        model.eval()
        with torch.no_grad():
            out = model(IMAGES[TRAIN:])
            accuracy = float((out.argmax(1) == LABELS[TRAIN:]).float().mean())
            unstuck.log(val_loss=float(F.cross_entropy(out, LABELS[TRAIN:])), val_accuracy=accuracy)
