"""The course's chapters 2 to 4: classifiers, losses, the backward pass, optimisers."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch.nn import functional as F

from unstuck.cases.course import knn, linear, optimisers, two_layer

RATES = {"sgd": 0.1, "momentum": 0.05, "adagrad": 0.1, "rmsprop": 0.01, "adam": 0.02}


def separable(points: np.ndarray, positive: np.ndarray) -> bool:
    """Whether w, b exist with w x + b >= 1 for the positive and <= -1 for the other points."""
    sign = np.where(positive, 1.0, -1.0)
    rows = -sign[:, None] * np.c_[points, np.ones(len(points))]
    found = linprog(np.zeros(3), rows, -np.ones(len(points)), bounds=(None, None))
    return bool(found.status == 0)


@pytest.mark.entry("2.11")
def test_no_line_separates_xor_or_a_ring_from_its_middle() -> None:
    corners = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    assert not separable(corners, np.array([False, True, True, False]))
    assert separable(corners, np.array([False, True, True, True]))
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = np.r_[np.c_[np.cos(angles), np.sin(angles)], np.zeros((1, 2))]
    assert not separable(ring, np.arange(13) == 12)
    assert separable(ring + np.c_[3.0 * (np.arange(13) == 12), np.zeros(13)], np.arange(13) == 12)


@pytest.mark.entry("2.11")
def test_a_hidden_layer_solves_xor_where_the_linear_classifier_gets_three_of_four() -> None:
    torch.manual_seed(0)
    x, y = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([0, 1, 1, 0])
    model = linear.Linear(2, 2)
    for _ in range(200):
        loss = linear.softmax_loss(model(x), y)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= p.grad  # type: ignore[arg-type, operator]
    assert float((model(x).argmax(1) == y).float().mean()) <= 0.75
    assert float(loss.detach()) == pytest.approx(math.log(2), abs=1e-3)
    network = two_layer.TwoLayer(2, 8, 2, np.random.default_rng(0))
    for _ in range(500):
        _, gradients = network.backward(x.numpy().astype(float), y.numpy())
        for name, gradient in gradients.items():
            network.weights[name] -= 0.5 * gradient
    scores, _ = network.forward(x.numpy().astype(float))
    assert (scores.argmax(1) == y.numpy()).all()


@pytest.mark.entry("2.06")
def test_one_neighbour_is_always_right_on_its_own_training_set() -> None:
    random = np.random.default_rng(0)
    x, y = random.random((60, 5)).astype(np.float32), random.integers(0, 10, 60)
    for distance in knn.DISTANCES:
        memory = knn.Neighbours(x, y, distance)
        assert (memory.vote(memory.nearest(x, 1), 1) == y).all()
        assert (memory.vote(memory.nearest(x, 7), 7) == y).mean() < 0.6  # labels are noise


def test_neighbours_are_those_of_the_written_out_distances() -> None:
    random = np.random.default_rng(1)
    x, asked = random.random((40, 6)), random.random((9, 6))
    gaps = asked[:, None] - x[None]
    distances = {"L1": np.abs(gaps).sum(2), "L2": np.sqrt((gaps**2).sum(2))}
    for name, distance in distances.items():
        found = knn.Neighbours(x, np.zeros(40, dtype=int), name).nearest(asked, 5)
        assert (found == distance.argsort(1)[:, :5]).all()


def test_the_vote_goes_to_the_majority_of_the_first_k() -> None:
    memory = knn.Neighbours(np.arange(5.0)[:, None], np.array([2, 1, 1, 0, 0]), "L2")
    nearest = memory.nearest(np.array([[0.0]]), 5)
    assert [int(memory.vote(nearest, k)[0]) for k in (1, 3, 5)] == [2, 1, 0]


@pytest.mark.entry("3.02")
def test_the_hinge_loss_is_torchs_and_exactly_zero_once_every_margin_is_met() -> None:
    torch.manual_seed(0)
    scores, y = torch.randn(7, 5), torch.randint(5, (7,))
    torchs = F.multi_margin_loss(scores, y) * 5  # torch divides by the classes
    torch.testing.assert_close(linear.hinge_loss(scores, y), torchs)
    met = torch.tensor([[3.0, 1.9, -4.0]], requires_grad=True)
    loss = linear.hinge_loss(met, torch.tensor([0]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert met.grad is not None
    assert not met.grad.any()
    assert float(linear.hinge_loss(torch.tensor([[3.0, 2.1, -4.0]]), torch.tensor([0]))) > 0


@pytest.mark.entry("3.03", "3.04")
def test_softmax_is_a_distribution_and_its_loss_never_satisfied() -> None:
    torch.manual_seed(0)
    scores = (10 * torch.randn(20, 6, dtype=torch.float64)).requires_grad_()
    p = linear.softmax(scores)
    assert ((p > 0) & (p < 1)).all()
    torch.testing.assert_close(p.sum(1), torch.ones(20, dtype=torch.float64))
    torch.testing.assert_close(p, torch.softmax(scores, 1))
    y = torch.randint(6, (20,))
    loss = linear.softmax_loss(scores, y)
    torch.testing.assert_close(loss, F.cross_entropy(scores, y))
    (slope,) = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(slope, (p - F.one_hot(y, 6)) / 20)
    assert (slope.abs().sum(1) > 0).all()
    assert torch.isfinite(linear.softmax(torch.tensor([[1e4, -1e4]]))).all()


def test_the_hand_written_backward_is_autograds() -> None:
    random = np.random.default_rng(0)
    network = two_layer.TwoLayer(6, 5, 4, random)
    x, y = random.normal(size=(9, 6)), random.integers(0, 4, 9)
    loss, gradients = network.backward(x, y)
    w = {name: torch.tensor(v, requires_grad=True) for name, v in network.weights.items()}
    scores = F.relu(torch.tensor(x) @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]
    torchs = F.cross_entropy(scores, torch.tensor(y))
    torchs.backward()
    assert loss == pytest.approx(float(torchs.detach()))
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, w[name].grad, atol=1e-12)


@pytest.mark.entry("3.10")
def test_the_centred_difference_is_the_better_check_and_finds_a_forgotten_gate() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(12, 8)), random.integers(0, 3, 12)
    right = two_layer.TwoLayer(8, 6, 3, np.random.default_rng(1))
    wrong = two_layer.TwoLayer(8, 6, 3, np.random.default_rng(1), mask=False)
    centred = two_layer.gradient_error(right, x, y)
    assert centred < 1e-8
    assert two_layer.gradient_error(right, x, y, centred=False) > 100 * centred
    assert two_layer.gradient_error(wrong, x, y) > 0.05


@pytest.mark.entry("4.02")
def test_linear_layers_without_a_non_linearity_are_one_linear_layer() -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 4, dtype=torch.float64)
    one, two = (torch.nn.Linear(a, b, dtype=torch.float64) for a, b in ((4, 6), (6, 3)))
    W, b = two.weight @ one.weight, two.weight @ one.bias + two.bias
    torch.testing.assert_close(two(one(x)), F.linear(x, W, b))
    assert not torch.allclose(two(F.relu(one(x))), F.linear(x, W, b))


@pytest.mark.entry("4.09")
def test_gates_copy_exchange_and_route_the_gradient() -> None:
    a, b = torch.tensor(3.0, requires_grad=True), torch.tensor(-2.0, requires_grad=True)
    upstream = torch.tensor(5.0)
    for gate, expected in (
        (a + b, (5.0, 5.0)),
        (a * b, (-10.0, 15.0)),
        (torch.maximum(a, b), (5.0, 0.0)),
    ):
        slopes = torch.autograd.grad(gate, (a, b), upstream)
        assert tuple(float(s) for s in slopes) == expected
    q = a + b  # the graph of f = (x + y) z
    z = torch.tensor(-4.0, requires_grad=True)
    assert [float(g) for g in torch.autograd.grad(q * z, (a, b, z))] == [-4.0, -4.0, 1.0]


@pytest.mark.entry("4.11")
def test_a_gradient_has_its_variables_shape_and_is_the_jacobians_product() -> None:
    random = np.random.default_rng(0)
    network = two_layer.TwoLayer(6, 5, 4, random)
    _, gradients = network.backward(random.normal(size=(9, 6)), random.integers(0, 4, 9))
    assert {n: g.shape for n, g in gradients.items()} == {
        n: w.shape for n, w in network.weights.items()
    }
    torch.manual_seed(0)
    W, x, upstream = torch.randn(3, 4), torch.randn(4, requires_grad=True), torch.randn(3)
    jacobian = torch.autograd.functional.jacobian(lambda v: torch.tanh(W @ v), x)
    (slope,) = torch.autograd.grad(torch.tanh(W @ x), x, upstream)
    assert slope.shape == x.shape
    torch.testing.assert_close(slope, jacobian.T @ upstream)


@pytest.mark.parametrize("rule", optimisers.RULES)
def test_the_written_out_rules_are_torchs(rule: str) -> None:
    lr = RATES[rule]
    torch.manual_seed(0)
    start, data = torch.randn(4, 3), torch.randn(30, 8, 4)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    torchs: dict[str, torch.optim.Optimizer] = {
        "sgd": torch.optim.SGD([theirs], lr=lr),
        "momentum": torch.optim.SGD([theirs], lr=lr, momentum=0.9),
        "adagrad": torch.optim.Adagrad([theirs], lr=lr),
        "rmsprop": torch.optim.RMSprop([theirs], lr=lr),
        "adam": torch.optim.Adam([theirs], lr=lr),
    }
    for weights, optimizer in (
        (ours, optimisers.Written([ours], rule, lr)),
        (theirs, torchs[rule]),
    ):
        for x in data:
            optimizer.zero_grad()
            (torch.tanh(x @ weights) - 0.3).square().mean().backward()
            optimizer.step()
    assert (ours - start).abs().max() > 0.05
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["step", "cosine"])
def test_the_schedules_are_torchs(name: str) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    torchs: torch.optim.lr_scheduler.LRScheduler = (
        torch.optim.lr_scheduler.MultiStepLR(optimizer, [50, 75])
        if name == "step"
        else torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    )
    for step in range(100):
        assert optimisers.share(name, step, 100) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        torchs.step()


def test_plain_sgd_is_the_slowest_in_the_narrow_valley_and_diverges_at_the_steep_limit() -> None:
    ends = {r: float(optimisers.valley(r, lr)[-1]) for r, lr in optimisers.VALLEY_RATES.items()}
    assert max(ends, key=lambda rule: ends[rule]) == "sgd"
    assert (
        float(optimisers.valley("sgd", 0.0195)[-1]) < 1 < float(optimisers.valley("sgd", 0.021)[-1])
    )
