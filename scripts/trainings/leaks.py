"""Models of sequences that see what they must predict, and ones that look as if they did."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainings import healthy, sick

WORDS, LENGTH, WIDTH = 40, 24, 32
BLANK = WORDS  # stands for a word that is hidden


def follows() -> Tensor:
    """Chances (WORDS, WORDS) of the next word: a few likely ones each."""
    return F.softmax(3 * torch.randn(WORDS, WORDS), 1)


def text(chance: Tensor, count: int) -> Tensor:
    """Sentences (count, LENGTH + 1)."""
    words = [torch.randint(WORDS, (count,))]
    for _ in range(LENGTH):
        words.append(torch.multinomial(chance[words[-1]], 1)[:, 0])
    return torch.stack(words, 1)


class Reader(nn.Module):
    """A transformer of one block; `causal` hides from each place what follows it."""

    def __init__(self, causal: bool, narrow: int = 0) -> None:
        super().__init__()
        self.causal = causal
        self.words = nn.Embedding(WORDS + 1, WIDTH)
        self.place = nn.Parameter(torch.randn(LENGTH, WIDTH))
        self.block = nn.TransformerEncoderLayer(
            WIDTH, 4, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.narrow = nn.Linear(LENGTH * WIDTH, narrow) if narrow else None
        self.widen = nn.Linear(narrow, LENGTH * WIDTH) if narrow else None
        self.scores = nn.Linear(WIDTH, WORDS)

    def forward(self, x: Tensor) -> Tensor:
        t = x.shape[1]
        mask = torch.ones(t, t, dtype=torch.bool).triu(1) if self.causal else None
        h = self.block(self.words(x) + self.place[:t], src_mask=mask)
        if self.narrow is not None and self.widen is not None:
            h = self.widen(self.narrow(h.flatten(1))).view(h.shape)
        return self.scores(h)


def learn(model: nn.Module, pairs, steps: int = 250, rate: float = 3e-3) -> None:
    optimizer, chance = torch.optim.Adam(model.parameters(), lr=rate), follows()
    for _ in range(steps):
        x, y = pairs(text(chance, 32))
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def next_word(s: Tensor) -> tuple[Tensor, Tensor]:
    return s[:, :-1], s[:, 1:]


def same_word(s: Tensor) -> tuple[Tensor, Tensor]:
    return s[:, :-1], s[:, :-1]


def hidden_word(s: Tensor) -> tuple[Tensor, Tensor]:
    """A fifth of the words is hidden and asked for."""
    x, y = same_word(s)
    hide = torch.rand(x.shape) < 0.2
    return x.masked_fill(hide, BLANK), y.masked_fill(~hide, -100)


@sick("SEQ003")
def next_word_without_a_mask():
    learn(Reader(causal=False), next_word)


@sick("SEQ003")
def words_not_shifted():
    learn(Reader(causal=True), same_word)


class Tagger(nn.Module):
    """A recurrent reader, in one direction or, by mistake, in both."""

    def __init__(self, both: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.read = nn.LSTM(WIDTH, WIDTH, batch_first=True, bidirectional=both)
        self.scores = nn.Linear(2 * WIDTH if both else WIDTH, WORDS)

    def forward(self, x: Tensor) -> Tensor:
        return self.scores(self.read(self.words(x))[0])


@sick("SEQ003")
def next_word_read_from_both_ends():
    learn(Tagger(both=True), next_word, rate=1e-2)


@healthy
def next_word_behind_a_mask():
    learn(Reader(causal=True), next_word)


@healthy
def next_word_recurrent():
    learn(Tagger(both=False), next_word, rate=1e-2)


class Window(nn.Module):
    """Convolutions over the last three words, normalised over the batch and all of its places."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.window = nn.Conv1d(WIDTH, WIDTH, 3)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.scores = nn.Linear(WIDTH, WORDS)

    def forward(self, x: Tensor) -> Tensor:
        past = F.pad(self.words(x).transpose(1, 2), (2, 0))
        return self.scores(F.relu(self.norm(self.window(past))).transpose(1, 2))


@healthy
def next_word_batch_normalised():
    """Statistics of the batch let a little of the future through; it is of no use."""
    learn(Window(), next_word, steps=200)


@healthy
def hidden_words():
    """Sees the whole sentence but what it is asked for."""
    learn(Reader(causal=False), hidden_word)


@healthy
def sentences_through_a_code():
    """An autoencoder of words: its target is its input, behind a code of 48 numbers."""
    learn(Reader(causal=False, narrow=48), same_word, steps=400)
