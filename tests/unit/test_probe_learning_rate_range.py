"""The usable rates, against formulas where there are some and against plain loops where not."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unstuck
from unstuck.examine import performed
from unstuck.experiment import NotProbed
from unstuck.lab.rate_sweep import STEPS, Sweep
from unstuck.lab.short_training import rates_of
from unstuck.lab.subject import Subject
from unstuck.probes.learning_rate_range import learning_rate_range


def parabola(curvatures, noise=0.0):
    """0.5 w' H w with H of these eigenvalues, in a turned frame; noise in the gradient."""
    turn = torch.linalg.qr(torch.randn(len(curvatures), len(curvatures)))[0]
    hessian = turn @ torch.diag(torch.tensor(curvatures)) @ turn.T
    model = nn.Linear(len(curvatures), 1, bias=False)
    model.weight.data = 5 * torch.randn(1, len(curvatures))

    def loss(model, batch):
        w = model.weight[0]
        return 0.5 * w @ hessian @ w + noise * (torch.randn_like(w) @ w)

    return model, loss


def facts_of(model, loss, optimizer, batch=None, **more):
    batch = torch.zeros(4, 1) if batch is None else batch
    result = performed(learning_rate_range, Subject(model, batch, loss, optimizer, **more))
    return {name.split("/")[2]: value for name, value in result.facts.items()}, result


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("now", [1e-5, 0.02, 30.0])
@pytest.mark.parametrize("curvatures", [[4.0], [0.5, 1.0, 10.0], [100.0, 3.0, 0.1, 0.1]])
def test_gradient_descent_is_stable_up_to_two_over_the_curvature(curvatures, now, seed):
    torch.manual_seed(seed)
    model, loss = parabola(curvatures)
    facts, _ = facts_of(model, loss, torch.optim.SGD(model.parameters(), lr=now))
    assert facts["high"] == pytest.approx(2 / max(curvatures), rel=0.15)
    assert facts["low"] < facts["best"] < facts["high"] and facts["now"] == pytest.approx(now)


@pytest.mark.parametrize("beta", [0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_momentum_widens_the_range(beta, seed):
    torch.manual_seed(seed)
    model, loss = parabola([0.5, 1.0, 10.0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=beta)
    facts, _ = facts_of(model, loss, optimizer)
    assert facts["high"] == pytest.approx(2 * (1 + beta) / 10, rel=0.3)


def test_noise_leaves_the_border_where_it_is_and_shows_in_the_spread():
    torch.manual_seed(0)
    model, loss = parabola([1.0, 10.0], noise=3.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    more = [torch.zeros(4, 1) for _ in range(3)]
    facts, result = facts_of(model, loss, optimizer, batches=more)
    assert 0.1 < facts["high"] < 0.25
    assert facts["low_spread"] > 1.0 and facts["high_spread"] >= 1.0
    assert "3 repetitions" in result.said[0]


def digits_like():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
    data = [(torch.randn(16, 8), torch.randint(3, (16,))) for _ in range(4)]
    return model, data


def long_way(model, data, rate, kind):
    """Each run by itself: copies, a plain loop, the loss of all batches before and after."""
    model = copy.deepcopy(model)
    optimizer = kind(model.parameters(), lr=rate)

    def mean():
        total = 0.0
        for number, (x, y) in enumerate(data):
            torch.manual_seed(number)
            total += F.cross_entropy(model(x), y).item()
        return total / len(data)

    before = mean()
    for number in range(STEPS):
        x, y = data[number % len(data)]
        torch.manual_seed(1 + number)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return before - mean()


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_progress_is_that_of_a_plain_loop_on_a_copy(kind):
    model, data = digits_like()
    optimizer = kind(model.parameters(), lr=1e-3)
    subject = Subject(model, data[0], F.cross_entropy, optimizer, batches=data[1:])
    sweep = Sweep(subject, optimizer, rates_of(optimizer), data)
    for rate in (1e-3, 1e-2, 1e-1):
        twin = long_way(model, data, rate, kind)
        assert sweep.progress(0, rate) == pytest.approx(twin, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("now", "words"), [(3e-2, "lies between"), (10.0, "times above"), (1e-6, "times below")]
)
def test_the_present_rate_is_placed(now, words):
    model, data = digits_like()
    optimizer = torch.optim.Adam(model.parameters(), lr=now)
    _, result = facts_of(model, F.cross_entropy, optimizer, data[0], batches=data[1:])
    assert words in result.said[1]
    curve = result.pictures[0]
    assert curve.log_x and curve.marks["now"] == pytest.approx(now)
    assert curve.span[0] < curve.marks["best"] < curve.span[1]


def test_the_same_range_is_found_from_a_rate_far_off():
    model, data = digits_like()
    borders = []
    for now in (1e-2, 1e-7, 1e3):
        optimizer = torch.optim.SGD(model.parameters(), lr=now)
        facts, _ = facts_of(model, F.cross_entropy, optimizer, data[0], batches=data[1:])
        borders.append((facts["low"], facts["high"]))
    for low, high in borders[1:]:
        assert low == pytest.approx(borders[0][0], rel=0.3)
        assert high == pytest.approx(borders[0][1], rel=0.5)


def test_at_the_start_of_a_warm_up_the_rate_is_low_or_zero():
    model, data = digits_like()
    for first in (0.0, 0.001):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step, first=first: first + step / 100)
        facts, result = facts_of(model, F.cross_entropy, optimizer, data[0])
        assert facts["now"] == pytest.approx(1e-2 * first)
        assert facts["planned"] == pytest.approx(1e-2)
        assert facts["low"] < 3e-2 < facts["high"]
        assert "warm-up" in result.said[1] or "times below" in result.said[1]


def test_groups_are_scaled_together_and_a_rate_may_be_a_tensor():
    model, data = digits_like()
    groups = [
        {"params": model[0].parameters(), "lr": torch.tensor(1e-2)},
        {"params": model[3].parameters(), "lr": torch.tensor(1e-3)},
    ]
    optimizer = torch.optim.Adam(groups, foreach=False)
    facts, _ = facts_of(model, F.cross_entropy, optimizer, data[0])
    assert facts["now"] == pytest.approx(1e-2)  # of the group with most parameters
    assert [float(g["lr"]) for g in optimizer.param_groups] == pytest.approx([1e-2, 1e-3])


def test_steps_are_told_where_the_optimizer_counts_them():
    model, data = digits_like()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in data:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert facts_of(model, F.cross_entropy, optimizer, data[0])[0]["steps"] == 4


def test_awkward_subjects_are_coped_with():
    torch.manual_seed(0)
    words = nn.Sequential(nn.Embedding(20, 8), nn.Flatten(), nn.Linear(32, 20)).eval()
    tokens = {"ids": torch.randint(20, (6, 4)), "next": torch.randint(20, (6,))}

    def loss(model, batch):
        return {
            "a": F.cross_entropy(model(batch["ids"]), batch["next"]),
            "b": 0 * model[0].weight.sum(),
        }

    for optimizer in (None, torch.optim.LBFGS(words.parameters(), lr=0.1, max_iter=2)):
        facts, _ = facts_of(words, loss, optimizer, tokens)
        assert facts["low"] < facts["high"] and ("now" in facts) == (optimizer is not None)
    one = nn.Linear(3, 1)
    batch = (torch.randn(1, 3), torch.randn(1, 1))
    facts, _ = facts_of(one, F.mse_loss, torch.optim.SGD(one.parameters(), lr=0.1), batch)
    assert facts["low"] < facts["high"]
    half = nn.Linear(3, 1).bfloat16()
    batch = (torch.randn(8, 3).bfloat16(), torch.randn(8, 1).bfloat16())
    facts, _ = facts_of(half, F.mse_loss, torch.optim.SGD(half.parameters(), lr=0.1), batch)
    assert facts["low"] < facts["high"]


def test_at_a_minimum_there_is_no_range():
    model, loss = parabola([1.0])
    model.weight.data.zero_()
    facts, result = facts_of(model, loss, torch.optim.SGD(model.parameters(), lr=0.1))
    assert "low" not in facts and facts["progress"] == 0
    assert "No rate from" in result.said[0]


def test_what_cannot_be_probed_says_why():
    model = nn.Linear(2, 1)
    batch = (torch.randn(4, 2), torch.randn(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(NotProbed, match="loss is nan"):
        facts_of(model, lambda out, y: (out - y).mean() * float("nan"), optimizer, batch)
    with pytest.raises(NotProbed, match="graph was cut"):
        facts_of(model, lambda out, y: F.mse_loss(out.detach(), y), optimizer, batch)
    model.requires_grad_(False)
    with pytest.raises(NotProbed, match="nothing to train"):
        facts_of(model, F.mse_loss, optimizer, batch)


def test_it_keeps_to_its_time():
    model, data = digits_like()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    subject = Subject(model, data[0], F.cross_entropy, optimizer, batches=data[1:])
    result = performed(learning_rate_range, subject, 1e-3)
    assert "rate/model/now" in result.facts
    assert "too short" in result.said[-1] or "No rate" in result.said[-1]


@pytest.mark.parametrize(("now", "code"), [(10.0, "OPT001"), (1e-6, "OPT002"), (1e-2, None)])
def test_a_rate_out_of_range_is_a_finding_before_the_first_step(now, code):
    model, data = digits_like()
    optimizer = torch.optim.Adam(model.parameters(), lr=now)
    found = unstuck.probe(
        model, data[0], F.cross_entropy, optimizer, only=["learning-rate-range"], batches=data[1:]
    )
    alarms = [f.code for f in found.diagnosis.at_least("warning")]
    assert alarms == ([code] if code else [])
