"""A character-level language model: a recurrent network that writes text letter by letter.

One hidden state is carried along the text: h_t = f(h_{t-1}, x_t), the same weights at every step
(Elman, "Finding structure in time", 1990). The vanilla cell multiplies its gradient by W_hh^T
diag(tanh') at every step back and so lets it vanish or explode; the LSTM's memory
c_t = f * c_{t-1} + i * g only multiplies it by the forget gate (Hochreiter, Schmidhuber, 1997;
Gers et al., 2000), the GRU does with one state (Cho et al., 2014). Truncated back-propagation
through time: the state is handed from chunk to chunk, the gradient stops at the chunk's border.

Covers: 9A.05 9A.06 9A.07 9A.08 9A.09 9A.10 9A.11 9A.12 9A.13 9A.14 9A.15 9A.16 9A.17 9A.20 C01 C02
Run: unstuck case run course/char_rnn
Expected: bits_per_character 2.327 +- 0.038 bits over 5 seeds (trivial answer 4.35) in 8 s on one
    core each: python -m unstuck.cases.course char_rnn --seeds 5
"""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import item, loop
from unstuck.cases.course.data import text
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "bits_per_character", False, "bits"
MARGIN = 1.8  # over the frequencies of single characters
TINY = {"steps": 4, "width": 16, "characters": 6000, "chunk": 10}
HELD = 8000  # characters at the text's end
SYMBOLS = len(text.ALPHABET)


class Recipe(loop.Recipe):
    cell: Literal["vanilla", "lstm", "gru"] = "lstm"
    """the step from one state to the next"""
    characters: int = Field(800_000, ge=2000)
    """characters to learn from; the last 8,000 of the text are held out"""
    width: int = Field(96, ge=1)
    """units of the hidden state"""
    chunk: int = Field(32, ge=1)
    """characters that the gradient reaches back"""
    steps: int = Field(400, ge=1)
    """updates; about half an epoch: it still learns, and cannot overfit"""
    batch: int = Field(32, ge=1)
    """places of the text that are read side by side"""
    lr: float = Field(1e-2, gt=0)
    """learning rate of Adam; large, for so few updates"""
    clip: float = Field(1.0, ge=0)
    """largest norm of the gradient (0: none); against the exploding gradient of C02"""
    recurrent_gain: float = Field(1.0, gt=0)
    """factor on the recurrent weights' usual initial values"""


class VanillaCell(nn.Module):
    """h' = tanh(W_xh x + W_hh h + b)."""

    parts, states = 1, 1

    def __init__(
        self, inputs: int, width: int, activation: Callable[[Tensor], Tensor] = torch.tanh
    ) -> None:
        super().__init__()
        self.activation = activation
        self.input = nn.Linear(inputs, self.parts * width)
        self.hidden = nn.Linear(width, self.parts * width)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def forward(self, from_x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The next state; `from_x` = self.input(x), which a caller computes for all x at once."""
        (h,) = state
        return (self.activation(from_x + self.hidden(h)),)


class LSTMCell(VanillaCell):
    """Gates i, f, o from x and h; memory c' = f c + i g, state h' = o tanh(c')."""

    parts, states = 4, 2

    def forward(self, from_x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, c = state
        i, f, g, o = (from_x + self.hidden(h)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class GRUCell(VanillaCell):
    """Reset gate r, update gate z; h' = (1 - z) n + z h with n = tanh(.. x + r (.. h))."""

    parts, states = 3, 1

    def forward(self, from_x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,) = state
        x_r, x_z, x_n = from_x.chunk(3, dim=-1)
        h_r, h_z, h_n = self.hidden(h).chunk(3, dim=-1)
        z = torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
        return ((1 - z) * n + z * h,)


CELLS: dict[str, type[VanillaCell]] = {"vanilla": VanillaCell, "lstm": LSTMCell, "gru": GRUCell}


class LanguageModel(nn.Module):
    """Characters (n, t) and a state -> scores of the next character (n, t, symbols), states."""

    def __init__(self, cell: str, width: int, gain: float) -> None:
        super().__init__()
        self.cell = CELLS[cell](SYMBOLS, width)
        self.output = nn.Linear(width, SYMBOLS)
        self.width = width
        with torch.no_grad():
            self.cell.hidden.weight.mul_(gain)

    def start(self, n: int) -> tuple[Tensor, ...]:
        return (torch.zeros(n, self.width),) * self.cell.states

    def forward(
        self, x: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
        from_x = self.cell.input(F.one_hot(x, SYMBOLS).float())
        states = []
        for t in range(x.shape[1]):
            state = self.cell(from_x[:, t], state)
            states.append(state)
        return self.output(torch.stack([state[0] for state in states], 1)), states


FAULTS = {
    "exploding-recurrence": Fault(
        {"cell": "vanilla", "recurrent_gain": 8.0, "clip": 0.0},
        "a vanilla cell whose recurrent weights start with singular values far above 1, and nothing"
        " clips: gradients grow with every step back in time",
        ("SEQ001", "GRD002"),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    whole = text.encoded(text.load())
    learned, held = whole[:-HELD][: r.characters], whole[-HELD:]
    torch.manual_seed(seed)
    model = LanguageModel(r.cell, r.width, r.recurrent_gain)
    state = model.start(r.batch)

    def loss(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        nonlocal state
        scores, states = model(x, state)
        state = tuple(part.detach() for part in states[-1])  # truncation: no gradient further back
        return {"cross_entropy": F.cross_entropy(scores.flatten(0, 1), y.flatten())}

    def evaluate() -> dict[str, float]:
        rows = held.view(80, -1)
        scores, _ = model(rows[:, :-1], model.start(len(rows)))
        nats = float(F.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten()))
        return {"val_loss": nats, "bits_per_character": nats / math.log(2)}

    chunks = side_by_side(learned, r.batch, r.chunk, seed)
    metrics = loop.fit(r, model, chunks, loss, evaluate, clip=r.clip)
    written = sample(model, "\nAnd ", 300, seed)
    print(written)
    if out is not None:
        _draw(out / "picture.png", model, held[:900], written)
    counts = torch.bincount(learned, minlength=SYMBOLS) + 1
    unigram = float(-(counts / counts.sum()).log2()[held].mean())
    return metrics | {"baseline": unigram}


def side_by_side(
    characters: Tensor, batch: int, chunk: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Chunks x and y (y one character later) of `batch` places that advance together, for ever."""
    generator = torch.Generator().manual_seed(seed)
    length = len(characters)
    places = torch.randint(length, (batch, 1), generator=generator) + torch.arange(chunk + 1)
    while True:
        taken = characters[places % length]
        yield taken[:, :-1], taken[:, 1:]
        places = places + chunk


def sample(model: LanguageModel, begin: str, length: int, seed: int, warmth: float = 0.7) -> str:
    """Text that the model writes: every character drawn is its next input."""
    generator = torch.Generator().manual_seed(seed)
    written = text.encoded(begin)[None]
    state, x = model.start(1), written
    with torch.no_grad():
        for _ in range(length):
            scores, states = model(x, state)
            state = states[-1]
            x = torch.multinomial((scores[:, -1] / warmth).softmax(-1), 1, generator=generator)
            written = torch.cat([written, x], 1)
    return text.decoded(written[0])


def _draw(file: Path, model: LanguageModel, characters: Tensor, written: str) -> None:
    """Sampled text, and held-out text coloured by the unit that tells best how far a word is."""
    from matplotlib import pyplot as plt

    with torch.no_grad():
        _, states = model(characters[None], model.start(1))
    units = torch.stack([state[-1][0] for state in states])
    shown = text.decoded(characters)
    since = torch.tensor([i - max(shown.rfind(" ", 0, i), 0) for i in range(len(shown))])
    agreement = torch.corrcoef(torch.cat([since[None].float(), units.T]))[0, 1:]
    best = int(agreement.nan_to_num().abs().argmax())
    values = units[:, best] - units[:, best].min()
    colours = plt.get_cmap("coolwarm")((values / values.max().clamp(min=1e-6)).numpy())

    figure, axis = plt.subplots(figsize=(7, 4))
    axis.set_axis_off()
    axis.set_xlim(0, 75)
    axis.set_ylim(17, 0)
    for i, line in enumerate(
        written.strip().replace("\n", " / ")[k : k + 75] for k in (0, 75, 150)
    ):
        axis.text(0, i + 1, line, family="monospace", fontsize=7.5)
    title = f"above: sampled; below: held-out text, blue to red by unit {best} of the state"
    axis.text(0, 5, title, fontsize=7.5, style="italic")
    for i, character in enumerate(shown[: 75 * 11].replace("\n", " ")):
        axis.text(
            i % 75, 6.5 + i // 75, character, family="monospace", fontsize=7.5,
            backgroundcolor=colours[i], bbox={"facecolor": colours[i], "pad": 1, "lw": 0},
        )  # fmt: skip
    figure.tight_layout(pad=0.3)
    figure.savefig(file, dpi=110)
    plt.close(figure)
