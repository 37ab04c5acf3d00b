"""Recurrent networks: gradients that explode on their way back in time, states never let go of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, step

WORDS = 12


class Last(nn.Module):
    """What a recurrent layer says at the end of a sequence."""

    def __init__(self, layer: nn.Module, width: int, out: int) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


class Cells(nn.Module):
    """A recurrence written as a loop over a cell."""

    def __init__(self, inputs: int, width: int, out: int) -> None:
        super().__init__()
        self.cell, self.head = nn.RNNCell(inputs, width), nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), self.cell.hidden_size)
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state)


def louder(model, gain):
    """Recurrent weights `gain` times as large as they are by default."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "weight_hh" in name:
                weight.mul_(gain)
    return model


def sums(size=32, length=60):
    """The sum of the two marked numbers of a sequence (the adding problem), n x t x 2."""
    x = torch.rand(size, length, 2)
    x[:, :, 1] = 0
    for half in (0, length // 2):
        place = torch.randint(half, half + length // 2, (size,))
        x[torch.arange(size), place, 1] = 1
    return x, (x[:, :, 0] * x[:, :, 1]).sum(1)


def add_up(model, optimizer, steps=300, clip=None):
    for _ in range(steps):
        x, y = sums()
        loss = F.mse_loss(model(x).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()


def read_digits(model, optimizer, steps=400, clip=None):
    """Digits pixel by pixel: 64 time steps of one number."""
    for _ in range(steps):
        chosen = torch.randint(0, TRAIN, (32,))
        loss = F.cross_entropy(model(IMAGES[chosen].unsqueeze(2)), LABELS[chosen])
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()


@healthy
def adding_with_gates():
    model = Last(nn.GRU(2, 32, batch_first=True), 32, 1)
    add_up(model, torch.optim.Adam(model.parameters(), lr=5e-3), steps=400)


@healthy
def adding_with_plain_recurrence():
    model = Last(nn.RNN(2, 32, batch_first=True), 32, 1)
    add_up(model, torch.optim.Adam(model.parameters(), lr=2e-3))


@sick("SEQ001")
def adding_with_loud_recurrence():
    model = louder(Last(nn.RNN(2, 32, batch_first=True), 32, 1), 5.0)
    add_up(model, torch.optim.SGD(model.parameters(), lr=0.01))


@sick("SEQ001")
def adding_with_loud_cell():
    model = louder(Cells(2, 32, 1), 5.0)
    add_up(model, torch.optim.Adam(model.parameters(), lr=2e-3))


@sick("SEQ001")
def pixels_through_loud_recurrence():
    model = louder(Last(nn.RNN(1, 64, batch_first=True), 64, 10), 6.0)
    read_digits(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9))


@healthy
def pixels_through_orthogonal_recurrence():
    layer = nn.RNN(1, 64, nonlinearity="relu", batch_first=True)
    nn.init.eye_(layer.weight_hh_l0)
    model = Last(layer, 64, 10)
    read_digits(model, torch.optim.Adam(model.parameters(), lr=1e-3), clip=1.0)


@healthy
def pixels_through_cells():
    model = Cells(1, 64, 10)
    nn.init.orthogonal_(model.cell.weight_hh)
    read_digits(model, torch.optim.Adam(model.parameters(), lr=1e-3), clip=1.0)


def text(size, length):
    """Words of a language in which the next one is mostly known from the last two."""
    words = [torch.randint(0, WORDS, (size,)) for _ in range(2)]
    for _ in range(length - 1):
        sure = (3 * words[-1] + 5 * words[-2] + 1) % WORDS
        odd = torch.rand(size) < 0.1
        words.append(torch.where(odd, torch.randint(0, WORDS, (size,)), sure))
    return torch.stack(words, 1)


class Speaker(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 16)
        self.memory, self.head = nn.LSTM(16, 48, batch_first=True), nn.Linear(48, WORDS)

    def forward(self, words: Tensor, state):
        out, state = self.memory(self.embedding(words), state)
        return self.head(out).flatten(0, 1), state


@healthy
def language_in_chunks():
    """Truncated backpropagation: a step a chunk, the state goes on, its graph does not."""
    model = Speaker()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(50):
        words, state = text(16, 81), None
        for first in range(0, 80, 10):
            out, state = model(words[:, first : first + 10], state)
            state = tuple(s.detach() for s in state)
            step(optimizer, F.cross_entropy(out, words[:, first + 1 : first + 11].flatten()))


def chunks_of_one_step(detach, sequences=120, chunks=8):
    model = Speaker()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(sequences):
        words, state = text(16, 10 * chunks + 1), None
        optimizer.zero_grad()
        for first in range(0, 10 * chunks, 10):
            out, state = model(words[:, first : first + 10], state)
            if detach:
                state = tuple(s.detach() for s in state)
            loss = F.cross_entropy(out, words[:, first + 1 : first + 11].flatten()) / chunks
            loss.backward(retain_graph=not detach)
        optimizer.step()


@healthy
def chunks_let_go_of():
    chunks_of_one_step(detach=True)


@sick("SEQ002")
def chunks_held_on_to():
    chunks_of_one_step(detach=False)


@sick("SEQ002")
def a_pass_for_every_word():
    """The loss of each word is sent back on its own through all the words before it."""
    model = Speaker()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(80):
        words, state = text(16, 13), None
        optimizer.zero_grad()
        for t in range(12):
            out, state = model(words[:, t : t + 1], state)
            loss = F.cross_entropy(out, words[:, t + 1]) / 12
            loss.backward(retain_graph=True)
        optimizer.step()


@healthy
def a_sum_over_every_word():
    model = Speaker()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(150):
        words, state, loss = text(16, 13), None, 0.0
        for t in range(12):
            out, state = model(words[:, t : t + 1], state)
            loss = loss + F.cross_entropy(out, words[:, t + 1]) / 12
        step(optimizer, loss)


@healthy
def tasks_sent_back_one_by_one():
    """Heads of several tasks on one trunk, whose graph is kept until the last of them."""
    trunk = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
    heads = nn.ModuleList(nn.Linear(64, 2) for _ in range(5))
    optimizer = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=1e-3)
    for _ in range(300):
        chosen = torch.randint(0, TRAIN, (32,))
        shared = trunk(IMAGES[chosen])
        losses = [F.cross_entropy(h(shared), (LABELS[chosen] % (i + 2) == 0).long())
                  for i, h in enumerate(heads)]  # fmt: skip
        optimizer.zero_grad()
        for loss in losses:
            loss.backward(retain_graph=True)
        optimizer.step()
