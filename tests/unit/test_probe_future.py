"""What the probe `future` says of models that see what they must predict, and of others."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from unstuck.cases.course.pixelcnn import PixelCNN
from unstuck.examine import Examination
from unstuck.experiment import NotProbed
from unstuck.lab.columns import best_column
from unstuck.lab.places import at_places, matching
from unstuck.lab.subject import Subject
from unstuck.probes.future import future

WORDS, LENGTH = 30, 12


class Reader(nn.Module):
    """A transformer of one block over words; `causal` hides what follows."""

    def __init__(self, *, causal: bool, layout: str = "ntv") -> None:
        super().__init__()
        self.causal, self.layout = causal, layout
        self.words = nn.Embedding(WORDS + 1, 16)
        self.place = nn.Parameter(torch.randn(LENGTH, 16))
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.scores = nn.Linear(16, WORDS)

    def forward(self, x: Tensor) -> Tensor:
        t = x.shape[1]
        mask = torch.ones(t, t, dtype=torch.bool).triu(1) if self.causal else None
        out = self.scores(self.block(self.words(x) + self.place[:t], src_mask=mask))
        return {"ntv": out, "nvt": out.transpose(1, 2), "flat": out.flatten(0, 1)}[self.layout]


def text(n: int = 8) -> Tensor:
    return torch.randint(WORDS, (n, LENGTH + 1))


def score(out: Tensor, y: Tensor) -> Tensor:
    out = out.flatten(0, 1) if out.ndim == 3 else out
    return F.cross_entropy(out, y.flatten())


def looked(model: nn.Module, batch, loss, **more) -> Examination:
    return unstuck.probe(model, batch, loss, only=["future"], **more)


def codes(found: Examination) -> list[tuple[str, str]]:
    return [(f.code, f.severity) for f in found.diagnosis.findings]


LEAK = [("SEQ003", "error")]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("seed", range(5))
def test_a_reader_without_a_mask_is_named_before_it_has_learnt(seed: int) -> None:
    torch.manual_seed(seed)
    s = text()
    batch = s[:, :-1], s[:, 1:]
    assert codes(looked(Reader(causal=False), batch, score)) == LEAK
    assert codes(looked(Reader(causal=True), batch, score)) == []


@pytest.mark.parametrize("seed", range(5))
def test_targets_that_were_not_shifted_are_named(seed: int) -> None:
    torch.manual_seed(seed)
    s = text()[:, :-1]
    assert codes(looked(Reader(causal=True), (s, s.clone()), score)) == LEAK
    assert codes(looked(Reader(causal=False), (s, s.clone()), score)) == []  # an autoencoder


def test_hidden_words_are_no_leak() -> None:
    s = text()[:, :-1]
    hidden = torch.rand(s.shape) < 0.2
    x, y = s.masked_fill(hidden, WORDS), s.masked_fill(~hidden, -100)
    assert codes(looked(Reader(causal=False), (x, y), score)) == []


@pytest.mark.parametrize("layout", ["nvt", "flat"])
def test_scores_may_lie_in_any_order(layout: str) -> None:
    s = text()

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        out, y = model(batch[:, :-1]), batch[:, 1:]
        return F.cross_entropy(out, y if layout == "nvt" else y.flatten())

    assert codes(looked(Reader(causal=False, layout=layout), s, loss)) == LEAK
    assert codes(looked(Reader(causal=True, layout=layout), s, loss)) == []


def test_a_model_that_is_handed_the_whole_text_and_scored_on_its_rest() -> None:
    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return F.cross_entropy(model(batch)[:, :-1].flatten(0, 1), batch[:, 1:].flatten())

    s = text()[:, :-1]
    found = looked(Reader(causal=True), s, loss)
    assert found.facts["future/model/next"] == 1
    assert codes(found) == []
    assert codes(looked(Reader(causal=False), s, loss)) == LEAK


class Prefixed(Reader):
    """The first half is given and read as a whole; only the rest is predicted."""

    def forward(self, x: Tensor) -> Tensor:
        t = x.shape[1]
        mask = torch.ones(t, t, dtype=torch.bool).triu(1)
        mask[: t // 2, : t // 2] = False
        return self.scores(self.block(self.words(x) + self.place[:t], src_mask=mask))


def test_a_prefix_that_is_read_as_a_whole_is_no_leak() -> None:
    s = text()
    y = s[:, 1:].clone()
    y[:, : LENGTH // 2 - 1] = -100
    assert codes(looked(Prefixed(causal=True), (s[:, :-1], y), score)) == []


@pytest.mark.parametrize("mask", ["A", "B"])
def test_a_pixel_that_sees_itself(mask: str) -> None:
    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return F.cross_entropy(model(batch), batch)

    found = looked(PixelCNN(8, first_mask=mask), torch.randint(4, (8, 14, 14)), loss)
    assert codes(found) == (LEAK if mask == "B" else [])
    assert found.facts["future/model/seen"] == 0


class Forecast(nn.Module):
    def __init__(self, *, both_ways: bool) -> None:
        super().__init__()
        self.read = nn.GRU(2, 8, batch_first=True, bidirectional=both_ways)
        self.tell = nn.Linear(16 if both_ways else 8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.tell(self.read(x)[0])


def test_a_forecast_that_reads_the_series_both_ways() -> None:
    series = torch.randn(16, 33, 2).cumsum(1)
    batch = series[:, :-1], series[:, 1:]
    assert codes(looked(Forecast(both_ways=True), batch, F.mse_loss)) == LEAK
    assert codes(looked(Forecast(both_ways=False), batch, F.mse_loss)) == []


def test_a_coder_that_runs_along_is_told_of_and_not_warned_of() -> None:
    series = torch.randn(16, 32, 2).cumsum(1)
    found = looked(Forecast(both_ways=False), (series, series.clone()), F.mse_loss)
    assert codes(found) == [("SEQ003", "info")]


def test_a_series_that_stands_still_proves_nothing() -> None:
    flat = torch.randn(16, 1, 2).expand(16, 33, 2)
    with pytest.raises(NotProbed):
        future(Subject(Forecast(both_ways=True), (flat[:, :-1], flat[:, 1:]), F.mse_loss))


def test_the_label_in_a_column_is_named_in_whatever_units() -> None:
    x, y = torch.randn(64, 6), torch.randint(2, (64,))
    x[:, 4] = 3 - 2.5 * y
    found = looked(nn.Linear(6, 2), (x, y), F.cross_entropy)
    assert found.facts["future/model/column"] == "column 4"
    assert codes(found) == [("SEQ003", "warning")]
    x[:, 4] += 0.3 * torch.randn(64)
    assert codes(looked(nn.Linear(6, 2), (x, y), F.cross_entropy)) == []


def test_numbers_that_one_column_gives_are_no_alarm() -> None:
    x = torch.randn(64, 6)
    found = looked(nn.Linear(6, 1), (x, x[:, 2:3].clone()), F.mse_loss)
    assert found.facts["future/model/copied"] == 1
    assert codes(found) == [("SEQ003", "info")]


def test_shares_and_columns_are_what_a_loop_counts() -> None:
    x = torch.randint(3, (6, 20))
    y = torch.where(torch.rand(6, 20) < 0.5, x.roll(-1, 1), torch.randint(-1, 3, (6, 20)))
    seen = after = same = 0
    for i in range(6):
        for t in range(19):
            if y[i, t] >= 0 and x[i, t] != x[i, t + 1]:
                seen += 1
                after += int(y[i, t] == x[i, t + 1])
                same += int(y[i, t] == x[i, t])
    found = matching(x.unsqueeze(2), y.unsqueeze(2))
    assert found == pytest.approx((after / seen, same / seen))
    table, aim = torch.randn(40, 5), torch.randn(40)
    table[:, 3] = aim + 0.5 * torch.randn(40)
    twin = max(
        range(5), key=lambda k: abs(float(torch.corrcoef(torch.stack([table[:, k], aim]))[0, 1]))
    )
    assert best_column(table, aim) == (pytest.approx(0, abs=0.1), f"column {twin}")
    assert at_places(torch.zeros(7, 3), 2, 5) is None


def test_what_the_future_moves_is_what_its_gradient_says() -> None:
    for both_ways in (True, False):
        model = Forecast(both_ways=both_ways).double()
        x = torch.randn(1, 10, 2, dtype=torch.float64)
        slope = torch.autograd.functional.jacobian(model, x)[0, :, :, 0]  # (out t, 2, in t, 2)
        ahead = torch.stack([slope[t, :, t + 1 :].abs().sum() for t in range(9)]).sum()
        series = torch.randn(4, 33, 2, dtype=torch.float64)
        facts = looked(model, (series[:, :-1], series[:, 1:]), F.mse_loss).facts
        assert (facts["future/model/seen"] > 0) == bool(ahead > 0) == both_ways


def test_models_of_transformers_in_their_own_clothes() -> None:
    hub = pytest.importorskip("transformers")
    small = {"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2}
    ids = torch.randint(3, 50, (4, 16))

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return model(**batch).loss

    gpt = hub.GPT2LMHeadModel(hub.GPT2Config(n_embd=16, n_layer=1, n_head=2, **small))
    assert codes(looked(gpt, {"input_ids": ids, "labels": ids.clone()}, loss)) == []
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = hub.BertForMaskedLM(hub.BertConfig(vocab_size=50, intermediate_size=32, **shape))
    batch = {"input_ids": ids[:, :-1], "labels": ids[:, 1:].contiguous()}
    assert codes(looked(bert, batch, loss)) == LEAK
    t5 = hub.T5Config(
        vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    batch = {"input_ids": ids, "labels": ids.clone()}
    assert codes(looked(hub.T5ForConditionalGeneration(t5), batch, loss)) == []


def test_where_there_is_nothing_to_be_fed_by_mistake_that_is_said() -> None:
    few = torch.randn(8, 6), torch.randint(2, (8,))
    with pytest.raises(NotProbed, match="32 or more samples"):
        future(Subject(nn.Linear(6, 2), few, F.cross_entropy))
