"""noise-scale is right where the answer can be worked out, and says so where it cannot know."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unstuck
from unstuck.examine import performed
from unstuck.experiment import NotProbed
from unstuck.lab.adaptive import divisors
from unstuck.lab.flat_gradient import Flat
from unstuck.lab.gradient_noise import noise_scale_of, products
from unstuck.lab.subject import Subject
from unstuck.probes.noise_scale import noise_scale


def facts_of(subject):
    found = performed(noise_scale, subject).facts
    return {name.removeprefix("noise_scale/model/"): value for name, value in found.items()}


def linear(dim, noise, count, size, seed):
    """y = x w* + noise: a model at distance 1 from w*, and its exact noise scale.

    A sample's gradient is 2 x (x . d - e): its mean is 2 d, its mean square 4 (dim + 2 + noise^2
    dim).
    """
    torch.manual_seed(seed)
    model = nn.Linear(dim, 1, bias=False)
    wanted = torch.randn(1, dim)
    wanted /= wanted.norm()
    with torch.no_grad():
        model.weight.zero_()
    data = []
    for _ in range(count):
        x = torch.randn(size, dim)
        data.append((x, x @ wanted.T + noise * torch.randn(size, 1)))
    return Subject(model, data[0], F.mse_loss, batches=data), dim + 1 + noise**2 * dim


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("dim", "noise"), [(4, 0.5), (4, 3.0), (20, 0.1), (20, 2.0), (100, 1.0), (400, 0.5)]
)
def test_within_a_fifth_of_the_exact_scale_of_a_linear_model(dim, noise, seed) -> None:
    samples = int(128 * (2 + noise**2) * 4)  # the signal is known to 4 % then, the noise better
    subject, exact = linear(dim, noise, 16, samples // 16 * 2, seed)
    facts = facts_of(subject)
    assert facts["samples"] == pytest.approx(exact, rel=0.2)
    assert facts["low"] < facts["samples"] < facts["high"]


@pytest.mark.parametrize(
    ("dim", "noise", "samples", "parts"),
    [(10, 1.0, 512, 16), (10, 1.0, 512, 64), (50, 2.0, 512, 32), (200, 0.5, 1024, 64)],
)
def test_the_interval_holds_the_exact_scale_as_often_as_it_says(dim, noise, samples, parts) -> None:
    """Over 200 repetitions, 95 % are meant."""
    rng = np.random.default_rng(0)
    exact, held = dim + 1 + noise**2 * dim, 0
    for _ in range(200):
        x, e = rng.normal(size=(samples, dim)), noise * rng.normal(size=samples)
        each = (2 * x * (x[:, 0] - e)[:, None]).reshape(parts, -1, dim).mean(1)
        found = noise_scale_of(each @ each.T, samples // parts)
        held += found.low <= exact <= found.high
    assert 0.9 <= held / 200 <= 0.99


def test_the_estimate_is_that_of_the_definition() -> None:
    """The long way: per-sample gradients, their covariance, pairs one by one."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    x, y = torch.randn(40, 6), torch.randint(3, (40,))
    subject = Subject(model, (x, y), F.cross_entropy)
    each = []
    for i in range(40):
        model.zero_grad()
        F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        each.append(torch.cat([p.grad.reshape(-1) for p in model.parameters()]).double())
    mean = torch.stack(each).mean(0)
    noise = sum(float((g - mean).square().sum()) for g in each) / 39
    pairs = [float(a @ b) for i, a in enumerate(each) for b in each[:i]]
    assert facts_of(subject)["samples"] == pytest.approx(noise / np.mean(pairs), rel=1e-3)


def test_a_signal_lost_in_noise_gives_a_bound_and_no_nonsense() -> None:
    """Labels that follow from nothing, at the weights that are best for them."""
    torch.manual_seed(0)
    model = nn.Linear(8, 1, bias=False)
    nn.init.zeros_(model.weight)
    data = [(torch.randn(32, 8), torch.randn(32, 1)) for _ in range(8)]
    result = performed(noise_scale, Subject(model, data[0], F.mse_loss, batches=data))
    facts = result.facts
    assert facts["noise_scale/model/high"] == "unknown" and facts["noise_scale/model/low"] > 32
    assert "twice as many samples" in result.said[1]


@pytest.mark.parametrize(("dim", "noise", "word"), [(2, 0.1, "above"), (64, 4.0, "below")])
def test_it_says_whether_a_larger_batch_pays(dim, noise, word) -> None:
    subject, _ = linear(dim, noise, 16, 128, seed=0)
    assert f"128 is {word} it" in performed(noise_scale, subject).said[1]


def test_dropout_is_counted_as_noise_of_its_own() -> None:
    torch.manual_seed(0)
    data = [(torch.randn(32, 20), torch.randint(4, (32,))) for _ in range(4)]

    def facts(rate):
        torch.manual_seed(1)
        hidden = nn.Sequential(nn.Linear(20, 64), nn.Dropout(rate), nn.Linear(64, 4))
        return facts_of(Subject(hidden, data[0], F.cross_entropy, batches=data))

    none, half = facts(0.0), facts(0.5)
    assert none["random"] == 0 and 0.1 < half["random"] < 0.9
    assert half["samples"] > none["samples"]


def test_all_of_the_noise_is_random_where_the_samples_are_alike() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(10, 1))
    x = torch.ones(64, 10)
    assert facts_of(Subject(model, (x, torch.ones(64, 1)), F.mse_loss))["random"] > 0.6


def test_batch_normalisation_gets_micro_batches_of_eight() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).eval()
    data = [(torch.randn(32, 10), torch.randint(3, (32,))) for _ in range(6)]
    result = performed(noise_scale, Subject(model, data[0], F.cross_entropy, batches=data))
    assert result.facts["noise_scale/model/used"] == 6 * 32
    assert any("micro-batches of 8" in line for line in result.said)
    assert not model.training


def test_a_loss_that_compares_samples_is_measured_in_whole_batches() -> None:
    torch.manual_seed(0)
    model = nn.Linear(10, 4)

    def contrastive(model, batch):
        scores = F.normalize(model(batch[0]), dim=1) @ F.normalize(model(batch[1]), dim=1).T
        return F.cross_entropy(scores / 0.1, torch.arange(len(scores)))

    shown = [torch.randn(16, 10) for _ in range(10)]
    data = [(x, x + 0.3 * torch.randn(16, 10)) for x in shown]
    result = performed(noise_scale, Subject(model, data[0], contrastive, batches=data))
    assert result.facts["noise_scale/model/used"] == 160
    assert any("Whole batches" in line for line in result.said)
    with pytest.raises(NotProbed, match="batches="):
        performed(noise_scale, Subject(model, data[0], contrastive))


def test_a_sum_has_the_noise_scale_of_the_mean() -> None:
    subject, _ = linear(10, 1.0, 8, 64, seed=0)
    summed = Subject(
        subject.model,
        subject.batch,
        lambda out, y: F.mse_loss(out, y, reduction="sum"),
        batches=subject.batches,
    )
    assert facts_of(summed)["samples"] == pytest.approx(facts_of(subject)["samples"], rel=1e-4)


def test_adam_sees_the_scale_in_its_own_coordinates() -> None:
    """One direction has a thousand times the gradient; Adam gives both the same weight."""
    torch.manual_seed(0)
    model = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-9)
    x = torch.randn(2048, 2) * torch.tensor([30.0, 1.0])
    batch = x, x[:, 1:] + x[:, :1] / 30 + torch.randn(2048, 1)
    subject = Subject(model, batch, F.mse_loss, optimizer)
    assert "adam" not in facts_of(subject)  # no step yet
    F.mse_loss(model(x), batch[1]).backward()
    optimizer.step()
    scale = divisors(optimizer, [model.weight])[0].reshape(-1).double().rsqrt().numpy()
    each = -2 * (x * batch[1]).double().numpy().reshape(128, -1, 2).mean(1) * scale
    slow = noise_scale_of(each @ each.T, 16)
    assert facts_of(subject)["adam"] == pytest.approx(slow.samples, rel=0.01)


def test_a_large_model_is_sampled_and_keeps_its_scale() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 400), nn.ReLU(), nn.Linear(400, 10))
    x, y = torch.randn(64, 64), torch.randint(10, (64,))
    subject = Subject(model, (x, y), F.cross_entropy)

    def scale(most):
        flat = Flat.of(subject, most)
        each = torch.stack(
            [flat.gradient(subject, (x[i : i + 1], y[i : i + 1])) for i in range(64)]
        )
        return each.shape[1], np.sqrt(np.trace(products(each))), noise_scale_of(products(each), 1)

    (many, size, exact), (few, sampled_size, sampled) = scale(1 << 20), scale(1 << 12)
    assert few < many / 3
    assert sampled_size == pytest.approx(size, rel=0.05)
    assert sampled.samples == pytest.approx(exact.samples, rel=0.15)


@pytest.mark.parametrize(
    ("batch", "low", "high", "words"),
    [
        (8, 81.0, 200.0, ["below"]),
        (8, 79.0, 200.0, []),
        (512, 20.0, 51.0, ["above"]),
        (512, 20.0, 52.0, []),
        (512, 20.0, "unknown", []),
    ],
)
def test_a_batch_ten_times_off_is_worth_knowing_and_never_an_alarm(batch, low, high, words) -> None:
    facts = {"batch": batch, "low": low, "high": high}
    run = unstuck.Run.of(facts={f"noise_scale/net/{name}": v for name, v in facts.items()})
    found = [f for f in unstuck.diagnose(run).findings if f.code == "OPT008"]
    assert [f.severity for f in found] == ["info"] * len(words)
    assert all(word in f.message for word, f in zip(words, found, strict=True))


# Awkward subjects -----------------------------------------------------------------------


def test_one_sample_a_cut_graph_and_a_broken_loss_have_a_reason() -> None:
    model = nn.Linear(4, 2)
    x, y = torch.randn(32, 4), torch.randint(2, (32,))
    with pytest.raises(NotProbed, match="give batches="):
        performed(noise_scale, Subject(model, (x[:1], y[:1]), F.cross_entropy))
    with pytest.raises(NotProbed, match="cut"):
        performed(noise_scale, Subject(model, (x, y), lambda out, y: out.detach().sum()))
    with pytest.raises(NotProbed, match="not finite"):
        performed(noise_scale, Subject(model, (x * math.inf, y), F.cross_entropy))


def test_parts_that_fail_or_are_not_finite_leave_whole_batches() -> None:
    torch.manual_seed(0)
    neighbours, model = torch.rand(16, 16), nn.Linear(4, 2)
    data = [(torch.randn(16, 4), torch.randint(2, (16,))) for _ in range(8)]

    def on_a_graph(model, batch):
        return F.cross_entropy(neighbours @ model(batch[0]), batch[1])

    def standardised(model, batch):
        out = model(batch[0])
        return F.cross_entropy((out - out.mean(0)) / out.var(0, correction=0).sqrt(), batch[1])

    for loss, why in ((on_a_graph, "fails"), (standardised, "no finite gradient")):
        result = performed(noise_scale, Subject(model, data[0], loss, batches=data))
        assert any("Whole batches" in line and why in line for line in result.said)


def test_time_first_is_asked_about_and_not_cut() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read, self.out = nn.GRU(4, 8), nn.Linear(8, 5)

        def forward(self, x):
            return self.out(self.read(x)[0][-1])

    batch = torch.randn(10, 32, 4), torch.randint(5, (32,))
    with pytest.raises(NotProbed, match="samples first"):
        performed(noise_scale, Subject(Reader(), batch, F.cross_entropy))


def test_samples_that_agree_have_no_noise() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4).expand(32, 4)
    facts = facts_of(Subject(nn.Linear(4, 1), (x, torch.ones(32, 1)), F.mse_loss))
    assert facts["samples"] == pytest.approx(0.0, abs=1e-3)


def test_tokens_terms_half_precision_complex_numbers_and_a_dictionary() -> None:
    class Wave(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(20, 6, sparse=True)
            self.turn = nn.Parameter(torch.randn(6, dtype=torch.complex64))
            self.out = nn.Linear(6, 3)

        def forward(self, tokens):
            mixed = torch.fft.ifft(torch.fft.fft(self.embed(tokens).mean(1)) * self.turn).real
            return {"logits": self.out(mixed)}

    torch.manual_seed(0)

    def loss(model, batch):
        out = model(batch["tokens"])["logits"]
        return {"fit": F.cross_entropy(out, batch["y"]), "small": 0.01 * out.square().mean()}

    batch = {"tokens": torch.randint(20, (48, 5)), "y": torch.randint(3, (48,)), "split": "train"}
    model = Wave()
    assert facts_of(Subject(model, batch, loss))["used"] == 48
    half = nn.Linear(4, 2).bfloat16()
    x, y = torch.randn(32, 4).bfloat16(), torch.randint(2, (32,))
    assert facts_of(Subject(half, (x, y), F.cross_entropy))["low"] > 0


def test_layers_that_are_recomputed_are_measured_too() -> None:
    from torch.utils.checkpoint import checkpoint

    torch.manual_seed(0)
    deep, head = nn.Linear(4, 4), nn.Linear(4, 2)
    model = nn.Sequential(deep, head)

    def loss(model, batch):
        inputs = batch[0].clone().requires_grad_()
        return F.cross_entropy(head(checkpoint(deep, inputs, use_reentrant=True)), batch[1])

    batch = torch.randn(32, 4), torch.randint(2, (32,))
    plain = facts_of(Subject(model, batch, F.cross_entropy))
    assert facts_of(Subject(model, batch, loss))["low"] == pytest.approx(plain["low"], rel=1e-3)


def test_short_time_gives_a_shorter_experiment_that_says_so() -> None:
    subject, _ = linear(4, 0.5, 64, 64, seed=0)
    result = performed(noise_scale, subject, seconds=1e-6)
    assert result.facts["noise_scale/model/used"] < 64 * 64
    assert any("Cut short" in line for line in result.said)
