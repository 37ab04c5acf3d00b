"""labels tells what belongs to the inputs from what does not, and finds samples that are copies."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from torch import nn
from trainings.data_checks import digits, landmarks, plain

from unstuck import Run, diagnose
from unstuck.examine import performed
from unstuck.experiment import NotProbed
from unstuck.lab.foretelling import _near, _ridge, foretold
from unstuck.lab.labelled import as_columns
from unstuck.lab.neighbours import by_chance, copied, copies, features
from unstuck.lab.subject import Subject
from unstuck.probes.labels import labels


def cut(x, y, size=32):
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


def result_of(data, model, loss=F.cross_entropy, held_out=(), **more):
    subject = Subject(model, data[0], loss, batches=data, held_out=held_out, **more)
    return performed(labels, subject)


def facts_of(*args, **more):
    facts = result_of(*args, **more).facts
    return {name.removeprefix("labels/model/"): value for name, value in facts.items()}


@pytest.mark.parametrize("shape", [(40, 6), (30, 60)])
def test_the_same_as_models_that_are_fitted_without_each_sample_in_turn(shape) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    x -= x.mean(0)
    y = x[:, :2] + rng.standard_normal((len(x), 2))
    spectrum = np.linalg.svd(x, compute_uv=False) ** 2
    spectrum = spectrum[spectrum > 1e-9 * spectrum[0]]
    goal = min(0.25 * len(x), 0.95 * len(spectrum))
    found = _ridge(x)(y)
    tried = np.geomspace(1e-6, 1e6, 200_001) * spectrum[0]
    used = (spectrum / (spectrum + tried[:, None])).sum(1)
    strength = tried[np.abs(used - goal).argmin()]
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        ridge = Ridge(strength, fit_intercept=False).fit(x[rest], y[rest])
        assert ridge.predict(x[i : i + 1])[0] == pytest.approx(found[i], abs=1e-2)
        near = KNeighborsRegressor(5).fit(x[rest], y[rest])
        if shape[1] < 32:  # else neighbours are looked for in fewer directions
            assert near.predict(x[i : i + 1])[0] == pytest.approx(_near(x)(y)[i])


def test_p_is_the_chance_of_an_alarm_where_there_is_nothing() -> None:
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rows = {"values": rng.standard_normal((120, 10)), "patches": rng.standard_normal((120, 40))}
        found.append(foretold(rows, np.eye(3)[rng.integers(3, size=120)], True).p)
    assert 0.0 <= np.mean(np.array(found) <= 0.1) <= 0.19  # 10 +- 3 standard errors
    assert 0.35 < np.median(found) < 0.65


def test_four_of_five_relations_as_strong_as_it_says_are_found() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((400, 4))
    noise = [rng.standard_normal((400, 1)) for _ in range(40)]
    limit = foretold({"values": rows}, noise[0], False).detectable
    found = [
        foretold({"values": rows}, 1.3 * limit * rows[:, :1] + (1 - limit**2) ** 0.5 * e, False).p
        for e in noise
    ]
    assert np.mean(np.array(found) <= 0.05) > 0.7


TOLD = {
    "digits": lambda: digits(),
    "pictures": lambda: (lambda x, y: (x.view(-1, 1, 8, 8), y))(*digits()),
    "half of them wrong": lambda: (
        lambda x, y: (x, torch.where(torch.rand(len(y)) < 0.5, y[torch.randperm(len(y))], y))
    )(*digits()),
    "sides": lambda: (lambda x: (x, (x[:, 0] > 0).long()))(torch.randn(600, 5)),
    "corners": lambda: (lambda x: (x, (x[:, 0] * x[:, 1] > 0).long()))(torch.randn(600, 2)),
    "parity": lambda: (lambda x: (x, x.sum(1).long() % 2))((torch.rand(800, 9) < 0.5).float()),
    "rare ones": lambda: (lambda x: (x, (x[:, 0] > 1.6).long()))(torch.randn(900, 5)),
    "targets": lambda: landmarks(600),
    "one target": lambda: (lambda x: (x, x[:, :1] + torch.randn(500, 1)))(torch.randn(500, 8)),
    "a column of answers": lambda: (lambda x: (x, (x[:, 0] > 0).float()))(torch.randn(500, 8)),
    "themselves": lambda: (lambda x: (x, x))(digits()[0]),
    "words": lambda: (lambda t, y: (torch.where(torch.rand(500, 30) < 0.2, y[:, None], t), y))(
        torch.randint(4, 50, (500, 30)), torch.randint(4, (500,))
    ),
    "scattered points": lambda: (
        lambda y: (
            torch.randn(400, 3, 50) * torch.tensor([[1.0, 1, 1], [1, 0.4, 1]])[y][..., None],
            y,
        )
    )(torch.randint(2, (400,))),
    "a mark anywhere": lambda: (lambda x, y: marked(x, y))(
        0.1 * torch.rand(500, 1, 20, 20), torch.randint(2, (500,))
    ),
}


def marked(x, y):
    for picture, kind in zip(x, y, strict=True):
        i, j = torch.randint(0, 15, (2,)).tolist()
        picture[0, i : i + 5, j + 2 if kind else slice(j, j + 5)] = 1.0
        if not kind:
            picture[0, i : i + 2, j : j + 5] = 0.05
    return x, y


@pytest.mark.parametrize("kind", TOLD)
def test_labels_that_belong_to_their_inputs_are_told(kind) -> None:
    torch.manual_seed(0)
    x, y = TOLD[kind]()
    columns = as_columns(y)
    found = foretold(features(x), columns.columns.numpy(), columns.classes > 0)
    assert found.p <= 0.05
    wrong = foretold(
        features(x), columns.columns.numpy()[torch.randperm(len(y))], columns.classes > 0
    )
    assert wrong.p > 0.01  # one in a hundred is below it


@pytest.mark.parametrize("seed", range(5))
def test_a_warning_of_labels_of_other_samples_and_none_of_the_right_ones(seed) -> None:
    torch.manual_seed(seed)
    x, y = digits()
    model = nn.Linear(64, 10)
    for answers, codes in ((y, []), (y.roll(1), ["DAT004"])):
        data = cut(x, answers)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for a, b in data[:46] * 4:
            optimizer.zero_grad()
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
        found = result_of(data[:46], model, held_out=data[46:]).facts
        run = Run.of(facts=found, loss__train=[2.3] * 184)
        assert [
            c.finding.code for c in diagnose(run).causes if c.finding.severity != "info"
        ] == codes


def test_what_the_model_has_learnt_shows_in_its_loss_on_shuffled_labels() -> None:
    torch.manual_seed(0)
    x, y = landmarks(640)
    model = plain(12, 6)
    untrained = facts_of(cut(x, y), model, F.mse_loss, cut(*landmarks(96)))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for a, b in cut(x, y) * 10:
        optimizer.zero_grad()
        F.mse_loss(model(a), b).backward()
        optimizer.step()
    trained = facts_of(cut(x, y), model, F.mse_loss, cut(*landmarks(96)))
    assert untrained["loss_ratio"] == pytest.approx(1, abs=0.1)
    assert trained["loss_ratio"] > 1.5 and trained["held_out_loss_ratio"] > 1.5
    with torch.no_grad():  # the long way
        asked = [cut(x, y)[i] for i in (0, 0, 1, 2)]  # the subject's own, and the first of all
        right = sum(F.mse_loss(model(a), b) for a, b in asked)
        wrong = sum(F.mse_loss(model(a), b.roll(16, 0)) for a, b in asked)
    assert trained["loss_ratio"] == pytest.approx(float(wrong / right), rel=1e-4)


def test_copies_are_counted_and_so_are_those_with_another_label() -> None:
    torch.manual_seed(0)
    x, y = digits()
    x, y = x[:400].view(-1, 1, 8, 8), y[:400].clone()
    x[300:340] = x[:40]  # bit by bit
    x[340:400] = x[40:100] + 0.003 * torch.randn(60, 1, 8, 8)  # saved again
    y[300:400] = y[:100]
    y[300:320] = (y[300:320] + 1) % 10
    facts = facts_of(cut(x, y, 50), nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    assert facts["duplicates"] == pytest.approx(0.25) and facts["conflicting"] == pytest.approx(
        0.05
    )
    assert facts["samples"] == 300


def test_the_subjects_own_batch_is_not_counted_twice() -> None:
    torch.manual_seed(0)
    x, y = digits()
    facts = facts_of(cut(x, y), nn.Linear(64, 10))
    assert facts["duplicates"] == 0 and facts["samples"] == len(x)


@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_held_out_samples_that_are_trained_on_are_found(noise) -> None:
    torch.manual_seed(0)
    x, y = digits()
    x = x.view(-1, 1, 8, 8)
    held = x[:200].clone()
    held[:100] += noise * torch.randn(100, 1, 8, 8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    found = result_of(cut(x[100:], y[100:]), model, held_out=cut(held, y[:200]))
    assert found.facts["labels/model/overlap"] == pytest.approx(0.5)
    clean = result_of(cut(x[200:], y[200:]), model, held_out=cut(x[:200], y[:200]))
    assert clean.facts["labels/model/overlap"] == 0
    leaks = [
        [c.finding.code for c in diagnose(Run.of(facts=f.facts)).causes] for f in (found, clean)
    ]
    assert leaks == [["GEN004"], []]


def test_few_kinds_of_inputs_are_in_both_parts_by_chance() -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 2, (900, 9)).float()
    y = (x.sum(1) > 4).long()
    found = result_of(cut(x[:700], y[:700]), nn.Linear(9, 2), held_out=cut(x[700:], y[700:])).facts
    assert found["labels/model/overlap"] > 0.6 and found["labels/model/by_chance"] > 0.6
    assert not diagnose(Run.of(facts=found)).at_least("warning")
    rows = x[:700].double().numpy()
    assert by_chance(rows, 100) == pytest.approx(100 / 2**9, rel=0.02)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 10, 60])
def test_what_lies_close_by_nature_is_no_copy(dimensions) -> None:
    for seed in range(3):
        rows = np.random.default_rng(seed).standard_normal((600, dimensions))
        limit = 0.15 if dimensions == 1 else 0.03 if dimensions == 2 else 0.0
        assert len(copies(rows[:500])) <= limit * 500
        assert copied(rows[500:], rows[:500]).mean() <= limit + 0.02


class Fed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(16, 4)

    def forward(self, x, kind=None):
        return self.line(x) if kind is None else self.line(x) + kind[:, None]


def drawn(model, batch):
    noise, real = batch
    return (model(noise).mean(0) - real[:, :4].mean(0)).square().sum()


def asked_for(model, batch):
    return model(*batch).square().mean()


def noised(model, batch):
    x, noise = batch
    return F.mse_loss(model(0.7 * x + 0.7 * noise), noise[:, :4])


@pytest.mark.parametrize(
    ("loss", "other", "reason"),
    [
        (asked_for, torch.randint(4, (64,)), "called with what looks like labels"),
        (noised, torch.randn(64, 16), "not called with the batch's inputs"),
        (
            lambda model, batch: model(batch[0].flip(0)).mean(),
            torch.randn(64, 2),
            "not called with",
        ),
    ],
)
def test_what_is_no_label_is_not_taken_for_one(loss, other, reason) -> None:
    data = [(torch.randn(64, 16), other) for _ in range(5)]
    with pytest.raises(NotProbed, match=reason):
        result_of(data, Fed(), loss)


def test_no_warning_where_the_loss_does_not_pair_its_samples() -> None:
    """Noise and pictures of a generator: its loss is the same for any order."""
    torch.manual_seed(0)
    data = [(torch.randn(64, 16), torch.randn(64, 16)) for _ in range(20)]
    found = result_of(data, Fed(), drawn).facts
    assert found["labels/model/p"] > 0.1 and found["labels/model/detectable"] < 0.06
    assert "labels/model/loss_ratio" not in found
    run = Run.of(facts=found, loss__train=[1.0] * 300)
    assert not diagnose(run).at_least("warning")


def of_dict(model, batch):
    return F.cross_entropy(model(batch["pixels"]), batch["labels"])


def of_terms(model, batch):
    return {"fit": F.cross_entropy(model(batch[0]), batch[1])}


def of_odd_numbers(model, batch):
    x = torch.view_as_real(batch[0])[..., 0] if batch[0].is_complex() else batch[0].float()
    return F.cross_entropy(model(x), batch[1])


def of_column(out, y):
    return F.cross_entropy(out, y[:, 0])


def of_two(out, y):
    return F.binary_cross_entropy_with_logits(out[:, 0], y.float())


KINDS = ("dict", "words", "bfloat16", "complex64", "bool", "terms", "column")


@pytest.mark.parametrize("kind", KINDS)
def test_batches_and_labels_of_every_kind(kind) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(320, 16), torch.randint(4, (320,))
    x[:, :4] += 2 * F.one_hot(y, 4)
    model, loss, data, more = Fed(), F.cross_entropy, cut(x, y), {}
    if kind == "dict":
        data = [{"pixels": a, "weight": torch.ones(len(a)), "labels": b} for a, b in data]
        loss = of_dict
    if kind == "words":
        model = nn.Sequential(nn.Embedding(9, 8), nn.Flatten(), nn.Linear(128, 4))
        data = cut(torch.cat([y[:, None], torch.randint(9, (320, 15))], 1), y)
    if kind in ("bfloat16", "complex64"):
        data, loss = cut(x.to(getattr(torch, kind)), y), of_odd_numbers
        more = {"labelled": lambda batch: batch}
    if kind == "bool":
        model, data, loss = nn.Linear(16, 1), cut(x, y < 2), of_two
    if kind == "terms":
        loss = of_terms
    if kind == "column":
        data, loss = cut(x, y[:, None]), of_column
    facts = facts_of(data, model, loss, **more)
    assert facts["p"] < 0.05 and facts["classes"] == (2 if kind == "bool" else 4)
    assert facts["accuracy"] > facts["majority"] + 0.1


def one_kind():
    return cut(torch.randn(64, 4), torch.zeros(64, dtype=torch.int64))


def test_labels_that_are_all_alike_are_said_to_be() -> None:
    found = result_of(one_kind(), nn.Linear(4, 2))
    assert "All labels of 64 samples are the same" in found.said[0]
    assert "labels/model/p" not in found.facts


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        ((torch.rand(8, 4), torch.randint(3, (8,))), "different samples tell nothing"),
        ((torch.rand(1, 4), torch.randint(3, (1,))), "different"),
        ((torch.rand(64, 4), torch.arange(64)), "64 different labels"),
        ((torch.rand(64, 3, 8, 8), torch.rand(64, 3, 8, 8)), "one row a sample"),
        ((torch.randint(9, (64, 8)), torch.randint(9, (64, 8))), "tokens, not classes"),
        ((torch.rand(64, 4), torch.full((64,), torch.nan)), "not finite"),
        ((torch.rand(64, 4), torch.rand(32)), "do not belong to"),
        (torch.rand(64, 4), "no plain labels"),
        ({"pixels": torch.rand(64, 4)}, "no labels among pixels"),
    ],
)
def test_says_why_there_is_nothing_to_tell(batch, reason) -> None:
    with pytest.raises(NotProbed, match=reason):
        performed(labels, Subject(nn.Linear(4, 3), batch, F.cross_entropy))
