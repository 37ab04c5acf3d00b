"""Which samples meet in a batch, and how many there are of each class."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, convolutions, held_out, perceptron, step

SORTED = LABELS[:TRAIN].argsort(stable=True)
EVEN = (LABELS % 2 == 0).float()


def adam(model: nn.Module, rate: float = 1e-3) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=rate)


def in_turn(order: Tensor, size: int, steps: int):
    """Batches of an order from its first sample to its last, epoch after epoch."""
    whole = order.repeat(1 + steps * size // len(order))
    for i in range(steps):
        yield whole[i * size : (i + 1) * size]


def shuffled(size: int, steps: int, chosen: Tensor | None = None):
    """Batches of fresh permutations, of all training digits or of some."""
    pool = torch.arange(TRAIN) if chosen is None else chosen
    epochs = 1 + steps * size // len(pool)
    whole = torch.cat([pool[torch.randperm(len(pool))] for _ in range(epochs)])
    for i in range(steps):
        yield whole[i * size : (i + 1) * size]


def classify(model: nn.Module, chosen, rate: float = 1e-3, every: int = 47) -> None:
    optimizer, criterion = adam(model, rate), nn.CrossEntropyLoss()
    for i, rows in enumerate(chosen):
        step(optimizer, criterion(model(IMAGES[rows]), LABELS[rows]))
        if i % every == every - 1:
            held_out(model)


# Order -----------------------------------------------------------------------------------------


@sick("DAT005")
def digits_in_order():
    """A folder a class, read one after the other."""
    classify(perceptron(), in_turn(SORTED, 32, 500))


@sick("DAT005")
def digits_in_order_convolutions():
    classify(convolutions(), in_turn(SORTED, 16, 500))


@sick("DAT005")
def digits_behind_a_small_buffer():
    """Shuffled, but only among the next 64: a buffer much smaller than a class."""
    order = torch.cat([part[torch.randperm(len(part))] for part in SORTED.split(64)])
    classify(perceptron(), in_turn(order, 32, 500))


@sick("DAT005")
def even_ones_first():
    """A binary label, all of one kind before all of the other."""
    model, criterion = perceptron(), nn.BCEWithLogitsLoss()
    head = nn.Sequential(model, nn.ReLU(), nn.Linear(10, 1))
    optimizer = adam(head)
    order = EVEN[:TRAIN].argsort(stable=True)
    for rows in in_turn(order, 32, 500):
        step(optimizer, criterion(head(IMAGES[rows]).squeeze(1), EVEN[rows]))


@healthy
def digits_shuffled_by_epoch():
    classify(perceptron(), shuffled(32, 500))


@healthy
def digits_shuffled_once():
    """One random order for all epochs is order enough."""
    classify(perceptron(), in_turn(torch.randperm(TRAIN), 32, 500))


@healthy
def even_ones_shuffled():
    head = nn.Sequential(perceptron(), nn.ReLU(), nn.Linear(10, 1))
    optimizer, criterion = adam(head), nn.BCEWithLogitsLoss()
    for rows in shuffled(32, 500):
        step(optimizer, criterion(head(IMAGES[rows]).squeeze(1), EVEN[rows]))


@healthy
def four_classes_a_batch():
    """Eight samples of each of four classes, as metric learning draws them."""
    by_class = [(LABELS[:TRAIN] == c).nonzero()[:, 0] for c in range(10)]

    def chosen():
        for _ in range(500):
            classes = torch.randperm(10)[:4].tolist()
            yield torch.cat([by_class[c][torch.randint(len(by_class[c]), (8,))] for c in classes])

    classify(perceptron(), chosen())


@healthy
def one_class_a_micro_batch():
    """Gradients of ten micro-batches, each of one class, make one step: that is no order."""
    by_class = [(LABELS[:TRAIN] == c).nonzero()[:, 0] for c in range(10)]
    model = perceptron()
    optimizer, criterion = adam(model, 3e-3), nn.CrossEntropyLoss()
    for _ in range(150):
        optimizer.zero_grad()
        for rows in by_class:
            drawn = rows[torch.randint(len(rows), (8,))]
            loss = criterion(model(IMAGES[drawn]), LABELS[drawn]) / 10
            loss.backward()
        optimizer.step()


@healthy
def classes_that_join():
    """A curriculum: two classes at first, all ten in the end."""

    def chosen():
        for i in range(600):
            known = (LABELS[:TRAIN] < 2 + i // 40).nonzero()[:, 0]
            yield known[torch.randint(len(known), (32,))]

    classify(perceptron(), chosen())


@healthy
def game_with_labels_of_one_kind():
    """All real, then all made up: batches of one class on purpose, from one line of the script."""
    netG = nn.Sequential(nn.Linear(16, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.Sigmoid())
    netD = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    optimizerG, optimizerD = adam(netG), adam(netD, 3e-4)
    criterion = nn.BCEWithLogitsLoss()

    def against(scores: Tensor, real: bool) -> Tensor:
        return criterion(scores, torch.full_like(scores, float(real)))

    for rows in shuffled(32, 500):
        x = IMAGES[rows] + 0.3 * torch.randn(len(rows), 64)
        fake = netG(torch.randn(len(x), 16))
        d_loss = against(netD(x), True) + against(netD(fake.detach()), False)
        optimizerD.zero_grad()
        d_loss.backward()
        optimizerD.step()
        g_loss = against(netD(fake), True)
        optimizerG.zero_grad()
        g_loss.backward()
        optimizerG.step()


# Balance ---------------------------------------------------------------------------------------


def rows_of_two_kinds(count: int, share: float, apart: float) -> tuple[Tensor, Tensor]:
    """Rows of two kinds that overlap, one of them rare: (n, 8), (n,)."""
    labels = (torch.rand(count) < share).long()
    rows = torch.randn(count, 8)
    rows[:, :2] += apart * labels[:, None].float()
    return rows, labels


def find_rare(share: float, apart: float, steps: int, weight: Tensor | None = None) -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer, criterion = adam(model, 3e-3), nn.CrossEntropyLoss(weight)
    held, answers = rows_of_two_kinds(1000, share, apart)
    for i in range(steps):
        rows, labels = rows_of_two_kinds(64, share, apart)
        step(optimizer, criterion(model(rows), labels))
        if i % 40 == 39:
            with torch.no_grad():
                right = model(held).argmax(1) == answers
            unstuck.log(val_accuracy=float(right.float().mean()))


@sick("DAT006")
def one_row_in_thirty():
    find_rare(1 / 30, apart=0.9, steps=800)


@sick("DAT006")
def one_digit_in_fifty_torn():
    """Torn eights among all other digits: the loss never asks for one to be named."""
    eight = LABELS[:TRAIN] == 8
    pool = torch.cat([(~eight).nonzero()[:, 0], eight.nonzero()[:30, 0]])
    labels = (LABELS == 8).float()
    model = nn.Linear(64, 1)
    optimizer, criterion = adam(model, 3e-3), nn.BCEWithLogitsLoss()
    for i, rows in enumerate(shuffled(64, 700, pool)):
        torn = IMAGES[rows] * (torch.rand(len(rows), 64) < 0.15)
        step(optimizer, criterion(model(torn)[:, 0], labels[rows]))
        if i % 40 == 39:
            with torch.no_grad():
                said = model(IMAGES[TRAIN:] * (torch.rand(297, 64) < 0.15))[:, 0] > 0
            unstuck.log(val_accuracy=float((said == (LABELS[TRAIN:] == 8)).float().mean()))


@healthy
def one_row_in_thirty_weighted():
    find_rare(1 / 30, apart=0.9, steps=800, weight=torch.tensor([1.0, 30.0]))


@healthy
def one_row_in_thirty_clear():
    find_rare(1 / 30, apart=3.0, steps=800)


@healthy
def clicks():
    """One in thirty clicks, and nobody can know which: a right model never says yes."""
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer, criterion = adam(model, 1e-3), nn.BCEWithLogitsLoss()
    direction = torch.randn(8)
    for _ in range(700):
        x = torch.randn(128, 8)
        odds = -3.8 + 0.8 * (x @ direction) / direction.norm()
        clicked = (torch.rand(128) < odds.sigmoid()).float()
        step(optimizer, criterion(model(x)[:, 0], clicked))


@healthy
def mostly_background():
    """Pixels of thin strokes: a twentieth of all."""
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 2, 3, padding=1),
    )  # fmt: skip
    optimizer = adam(model, 3e-3)
    for rows in shuffled(32, 400):
        x = IMAGES[rows]
        wanted = (x > 0.97).long().view(-1, 8, 8)
        step(optimizer, F.cross_entropy(model(x + 0.05 * torch.randn_like(x)), wanted))


@healthy
def words_by_frequency():
    """A chain of words as frequent as Zipf has them: half of all are the first three."""
    words, width = 200, 16
    chance = 1 / torch.arange(1, words + 1).float()
    follows = torch.stack([chance[torch.randperm(words)] for _ in range(words)]) + 3 * chance
    model = nn.Sequential(nn.Embedding(words, width), nn.Linear(width, words))
    optimizer = adam(model, 1e-2)
    now = torch.randint(words, (64,))
    for _ in range(500):
        then = torch.multinomial(follows[now], 1)[:, 0]
        step(optimizer, F.cross_entropy(model(now), then))
        now = then
