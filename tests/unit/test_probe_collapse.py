"""What the probe `collapse` says of codes, pairs of modalities, and what a generator draws."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from unstuck.examine import Examination
from unstuck.experiment import NotProbed
from unstuck.lab import codes
from unstuck.lab.subject import Subject
from unstuck.probes.collapse import collapse


def mlp(inputs: int, outputs: int, width: int = 32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))


def named(found: Examination) -> list[str]:
    return [f.code for f in found.diagnosis.at_least("warning")]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


# Slow, obvious twins ----------------------------------------------------------------------


def test_the_effective_rank_is_that_of_the_paper() -> None:
    x = torch.randn(12, 5, dtype=torch.float64) * torch.tensor([5.0, 1, 1, 0.2, 0])
    centred = x - x.mean(0)
    sizes = [math.sqrt(max(0.0, v)) for v in torch.linalg.eigvalsh(centred.T @ centred).tolist()]
    share = [s / sum(sizes) for s in sizes if s > 1e-9]
    entropy = -sum(p * math.log(p) for p in share)
    assert codes.effective_rank(x) == pytest.approx(math.exp(entropy), rel=1e-6)
    even = torch.linalg.qr(torch.randn(20, 4, dtype=torch.float64))[0]
    even = torch.cat([even, -even])  # centred; four equal singular values
    assert codes.effective_rank(even) == pytest.approx(4)
    assert codes.effective_rank(torch.ones(9, 3, dtype=torch.float64)) == 0


def test_spread_uniformity_kinds_and_nearest_are_what_loops_find() -> None:
    x = torch.randn(9, 4, dtype=torch.float64)
    rows = x.tolist()
    columns = list(zip(*rows, strict=True))
    means = [sum(c) / 9 for c in columns]
    stds = [
        math.sqrt(sum((v - m) ** 2 for v in c) / 9) for c, m in zip(columns, means, strict=True)
    ]
    size = math.sqrt(sum(v * v for r in rows for v in r) / 36)
    assert codes.spread(x) == pytest.approx((sum(stds) / 4, size))
    on_sphere = [[v / math.hypot(*r) for v in r] for r in rows]
    kernels = [
        math.exp(-2 * math.dist(on_sphere[i], on_sphere[j]) ** 2)
        for i in range(9)
        for j in range(i)
    ]
    assert codes.uniformity(x) == pytest.approx(math.log(sum(kernels) / len(kernels)))
    assert codes.sign_patterns(x) == len({tuple(v > 0 for v in r) for r in rows}) / 9
    gaps = sorted(min(math.dist(rows[i], rows[j]) for j in range(9) if j != i) for i in range(9))
    assert codes.nearest(x) == pytest.approx(gaps[4])


def test_agreement_and_paired_distance_are_what_loops_find() -> None:
    a = torch.randn(10, 3, dtype=torch.float64)
    b = a + torch.randn(10, 3, dtype=torch.float64)
    won = likeness = strangers = partners = 0.0
    for i in range(10):
        for j in range(10):
            cosine = float(F.cosine_similarity(a[i], b[j], 0))
            if i == j:
                partners += math.dist(a[i].tolist(), b[i].tolist()) / 10
                continue
            own = float(F.cosine_similarity(a[i], b[i], 0))
            back = float(F.cosine_similarity(a[j], b[i], 0))
            won += (own > cosine) + (own > back)
            likeness += cosine / 90
            strangers += math.dist(a[i].tolist(), b[j].tolist()) / 90
    assert codes.agreement(a, b) == pytest.approx((won / 180, likeness))
    assert codes.paired_distance(a, b) == pytest.approx(partners / strangers)


@pytest.mark.parametrize("width", [4, 200])
def test_a_linear_probe_tells_domains_apart_as_a_library_does(width: int) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    from sklearn.model_selection import cross_val_score

    for shift, tolerance in ((0.0, 0.17), (1.0, 0.12), (6.0, 0.01)):
        a = torch.randn(60, width, dtype=torch.float64)
        b = torch.randn(60, width, dtype=torch.float64)
        b[:, 0] += shift
        ridge = linear_model.RidgeClassifier()
        table, side = torch.cat([a, b]).numpy(), [1] * 60 + [0] * 60
        twin = cross_val_score(ridge, table, side, cv=5).mean()
        assert codes.told_apart(a, b) == pytest.approx(twin, abs=tolerance + 0.05 * (width > 60))


# What a user would want to hear -----------------------------------------------------------


def alike(stays: float, seed: int) -> Examination:
    """An autoencoder whose codes of two views are pulled together; `stays` weighs its pixels."""
    torch.manual_seed(seed)
    model = nn.ModuleDict({"encoder": mlp(16, 8), "decoder": mlp(8, 16)})
    data = torch.randn(256, 4) @ torch.randn(4, 16)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(model: nn.Module, x: Tensor) -> Tensor:
        one, two = (model["encoder"](x + 0.3 * torch.randn_like(x)) for _ in range(2))
        return stays * F.mse_loss(model["decoder"](one), x) + F.mse_loss(one, two)

    for step in range(300):
        value = loss(model, data[(32 * step) % 256 :][:32])
        adam.zero_grad()
        value.backward()
        adam.step()
    return unstuck.probe(model, data[:64], loss, adam, only=["collapse"])


@pytest.mark.parametrize("seed", range(5))
def test_codes_that_were_pulled_together_are_named(seed: int) -> None:
    assert named(alike(0.0, seed)) == ["COL004"]
    assert named(alike(1.0, seed)) == []


def test_a_code_that_never_varied_and_one_that_is_no_code_raise_no_alarm() -> None:
    class Places(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(6, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.weight.expand(len(x), 6, 4)

    class Placed(nn.Module):
        """The positions are the same for all; the gate is narrow and shut."""

        def __init__(self) -> None:
            super().__init__()
            self.pos_enc, self.gate, self.read = Places(), nn.Linear(4, 2), mlp(24, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.read((x + self.pos_enc(x)).flatten(1)) + self.gate(x).sum()

    batch = torch.randn(32, 6, 4), torch.randint(10, (32,))
    model = Placed()
    with torch.no_grad():
        model.gate.weight.zero_()
    found = unstuck.probe(model, batch, F.cross_entropy, only=["collapse"])
    assert found.facts["collapse/pos_enc/spread"] == 0
    assert named(found) == []


def matched(*, shuffled: bool, seed: int, steps: int = 300) -> Examination:
    torch.manual_seed(seed)
    model = nn.ModuleDict({"image": mlp(12, 8), "text": mlp(9, 8)})
    source = torch.randn(512, 5)
    images, texts = source @ torch.randn(5, 12), source @ torch.randn(5, 9)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        a, b = F.normalize(model["image"](batch[0])), F.normalize(model["text"](batch[1]))
        return F.cross_entropy(a @ b.T / 0.2, torch.arange(len(a)))

    for _ in range(steps):
        rows = torch.randint(512, (32,))
        other = rows[torch.randperm(32)] if shuffled else rows
        value = loss(model, (images[rows], texts[other]))
        adam.zero_grad()
        value.backward()
        adam.step()
    batch = images[:64], texts[:64]
    return unstuck.probe(model, batch, loss, adam, only=["collapse"], modalities=("image", "text"))


@pytest.mark.parametrize("seed", range(5))
def test_partners_that_were_shuffled_apart_are_named(seed: int) -> None:
    assert named(matched(shuffled=True, seed=seed)) == ["COL005"]
    found = matched(shuffled=False, seed=seed)
    assert named(found) == []
    assert found.facts["collapse/image:text/agreement"] > 0.9
    assert found.facts["collapse/image:text/paired"] < 0.7


def test_partners_are_not_missed_before_the_training_has_begun() -> None:
    assert named(matched(shuffled=True, seed=0, steps=60)) == []


def game(rate: float, seed: int, steps: int = 200) -> Examination:
    """A generator of points on a ring, and its judge."""
    torch.manual_seed(seed)
    angle = 6.2832 * torch.rand(512)
    ring = torch.stack([angle.cos(), angle.sin()], 1)
    draw, judge = mlp(8, 2), mlp(2, 1)
    of_draw = torch.optim.Adam(draw.parameters(), lr=rate, betas=(0.5, 0.9))
    of_judge = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.9))

    def loss(model: nn.Module, real: Tensor) -> Tensor:
        return F.softplus(-judge(model(torch.randn(len(real), 8)))).mean()

    for _ in range(steps):
        real = ring[torch.randint(512, (64,))]
        hide = 0.3 * torch.randn(64, 2)
        made = draw(torch.randn(64, 8)).detach()
        told = F.softplus(-judge(real + hide)).mean() + F.softplus(judge(made + hide)).mean()
        of_judge.zero_grad()
        told.backward()
        of_judge.step()
        fooled = loss(draw, real)
        of_draw.zero_grad()
        fooled.backward()
        of_draw.step()
    return unstuck.probe(draw, ring[:64], loss, of_draw, only=["collapse"])


def test_a_generator_that_draws_copies_is_named_and_others_are_not() -> None:
    for seed in range(3):
        assert named(game(1e-3, seed)) == []
        assert named(game(1e-3, seed, steps=0)) == []
    torch.manual_seed(0)
    draw, judge = mlp(8, 2), mlp(2, 1)
    with torch.no_grad():
        draw[0].weight.mul_(1e-5)
    ring = F.normalize(torch.randn(64, 2))

    def loss(model: nn.Module, real: Tensor) -> Tensor:
        return F.softplus(-judge(model(torch.randn(len(real), 8)))).mean()

    found = unstuck.probe(draw, ring, loss, only=["collapse"])
    assert [(f.code, f.severity) for f in found.diagnosis.findings] == [("ADV004", "error")]


def test_few_conditions_are_not_taken_for_copies() -> None:
    """Ten classes, no noise: samples of one class are equal, as they must be."""
    judge, draw = mlp(4, 1), mlp(10, 4)
    batch = F.one_hot(torch.randint(10, (64,)), 10).float(), torch.randn(64, 4)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.softplus(-judge(model(batch[0]))).mean()

    found = unstuck.probe(draw, batch, loss, only=["collapse"])
    assert found.facts["collapse/model/nearest"] > 0.03
    assert named(found) == []


# Awkward subjects -------------------------------------------------------------------------


def test_codes_of_words_of_sentences_of_several_lengths_and_of_halves() -> None:
    model = nn.ModuleDict({"encoder": nn.GRU(4, 6, batch_first=True), "head": nn.Linear(6, 3)})
    model["words"] = nn.Embedding(20, 4)

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        _, last = model["encoder"](model["words"](batch["words"]))
        return F.cross_entropy(model["head"](last[0]), batch["kind"])

    batches = [
        {"words": torch.randint(20, (16, t)), "kind": torch.randint(3, (16,))} for t in (5, 5, 7)
    ]
    subject = Subject(model, batches[0], loss, batches=batches[1:], latents=["encoder"])
    assert collapse(subject).facts["collapse/encoder/samples"] >= 16
    coder = nn.Sequential(nn.Linear(6, 2), nn.Linear(2, 6)).to(torch.bfloat16)
    x = torch.randn(16, 6, dtype=torch.bfloat16)
    facts = collapse(Subject(coder, (x, x), F.mse_loss)).facts
    assert facts["collapse/0/found"] == "narrowest"
    assert facts["collapse/0/width"] == 2


def test_where_it_cannot_look_it_says_what_it_needs() -> None:
    x = torch.randn(4, 6)
    with pytest.raises(NotProbed, match="larger batch"):
        collapse(Subject(mlp(6, 6), (x, x), F.mse_loss))
    with pytest.raises(NotProbed, match="no module 'coder'"):
        collapse(Subject(mlp(6, 6), (x, x), F.mse_loss, latents=["coder"]))


def test_little_time_is_kept_to_and_said() -> None:
    x = torch.randn(32, 16)
    subject = Subject(mlp(16, 16), (x, x), F.mse_loss, batches=[(x, x)] * 7)
    assert "Cut short: 1 of 8" in collapse(subject, seconds=1e-9).said[-1]


def test_a_judge_and_a_policy_are_no_generators() -> None:
    """A network that is handed no outputs of the model says nothing of what it draws."""
    policy, value = mlp(6, 2), mlp(6, 1)
    batch = torch.randn(64, 6), torch.randn(64, 2)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        states, actions = batch
        return ((model(states) - actions).square().mean(1) * value(states)[:, 0].detach()).mean()

    facts = collapse(Subject(policy, batch, loss)).facts
    assert "collapse/model/nearest" not in facts
    assert facts["collapse/model/varies"] > 0.5
