"""A few samples learned by heart, or what keeps a model from it."""

import copy
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unstuck.examine import performed
from unstuck.experiment import NotProbed
from unstuck.lab.loss_floor import floor_of
from unstuck.lab.subject import Subject
from unstuck.probes.overfit_one_batch import overfit_one_batch


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def facts_of(model, batch, loss, optimizer=None, **more):
    result = performed(overfit_one_batch, Subject(model, batch, loss, optimizer, **more), 30)
    return SimpleNamespace(**{k.split("/")[2]: v for k, v in result.facts.items()}), result


def adam(model, rate=1e-2):
    return torch.optim.Adam(model.parameters(), lr=rate)


def net(*more, width=32, out=4):
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), *more, nn.Linear(width, out))


def classes(count=16):
    return torch.randn(count, 6), torch.randint(4, (count,))


def test_a_sound_model_learns_them_at_its_own_rate():
    model = net()
    found, result = facts_of(model, classes(), F.cross_entropy, adam(model))
    assert found.reached and found.share < 0.05 and found.samples == 16
    assert found.rate == pytest.approx(1e-2) and found.own_share == found.share
    assert "learned by heart" in result.said[0]


def test_the_losses_are_those_of_a_plain_loop_on_a_copy():
    model, (x, y) = net(nn.BatchNorm1d(32), nn.Dropout(0.5)), classes()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.5)
    _, result = facts_of(model, (x, y), F.cross_entropy, optimizer)
    twin = copy.deepcopy(model)
    twin[3].eval()  # no dropout; no decay
    plain, seen = torch.optim.AdamW(twin.parameters(), lr=5e-3, weight_decay=0), []
    for _ in range(20):
        loss = F.cross_entropy(twin(x), y)
        plain.zero_grad()
        loss.backward()
        plain.step()
        seen.append(loss.item())
    assert result.pictures[0].y[:20].tolist() == pytest.approx(seen, rel=1e-4)


@pytest.mark.parametrize("rate", [3.0, 1e-8])
def test_a_wrong_rate_is_not_taken_for_a_wrong_model(rate):
    model = net()
    found, result = facts_of(model, classes(), F.cross_entropy, adam(model, rate))
    assert found.reached and found.own_share > 0.1
    assert f"at the present rate, {rate:.2g}" in result.said[1]


def test_sgd_that_needs_ten_times_its_rate_says_so():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
    found, _ = facts_of(model, classes(), F.cross_entropy, optimizer)
    assert found.reached and found.own_share > 0.3
    assert found.optimizer == "SGD" and found.rate == pytest.approx(0.03)


# The floor of the loss ---------------------------------------------------------------------------


def entropy(p):
    return -sum(q * math.log(q) for q in p if q > 0)


def test_the_floor_of_smoothed_labels_is_their_entropy():
    floor = floor_of(Subject(net(), classes(), nn.CrossEntropyLoss(label_smoothing=0.2)), classes())
    assert floor.value == pytest.approx(entropy([0.85, 0.05, 0.05, 0.05]), abs=1e-3)


def test_the_floor_of_soft_targets_is_their_entropy():
    x, target = torch.randn(16, 6), torch.tensor([[0.5, 0.25, 0.25, 0.0]]).expand(16, 4)
    model = net(nn.Identity())
    assert floor_of(Subject(model, (x, target), F.cross_entropy), (x, target)).value == (
        pytest.approx(entropy([0.5, 0.25, 0.25]), abs=1e-3)
    )
    found, _ = facts_of(model, (x, target), F.cross_entropy, adam(model))
    assert found.reached


@pytest.mark.parametrize("same", [2, 4])
def test_one_input_with_several_labels_has_the_entropy_of_these(same):
    x, _ = classes()
    y = torch.zeros(16, dtype=torch.long)
    x[:same], y[:same] = x[0].clone(), torch.arange(same)
    model = net()
    expected = same * math.log(same) / 16
    assert floor_of(Subject(model, (x, y), F.cross_entropy), (x, y)).value == pytest.approx(
        expected, abs=1e-3
    )
    found, _ = facts_of(model, (x, y), F.cross_entropy, adam(model))
    assert found.reached and found.last >= expected - 1e-3


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_a_regression_has_floor_zero_and_a_best_constant(loss):
    x, y = torch.randn(16, 6), 3 * torch.randn(16, 1)
    floor = floor_of(Subject(net(out=1), (x, y), loss), (x, y))
    assert floor.value == pytest.approx(0, abs=1e-3)
    constant = y.mean() if loss is F.mse_loss else None
    if constant is not None:
        assert floor.constant == pytest.approx(float(loss(constant.expand(16, 1), y)), rel=1e-3)


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        (nn.LogSoftmax(1), F.nll_loss),
        (nn.Softmax(1), lambda p, y: F.nll_loss(p.clamp(min=1e-9).log(), y)),
        (nn.Sigmoid(), lambda p, y: F.binary_cross_entropy(p, F.one_hot(y, 4).float())),
    ],
)
def test_a_model_that_ends_in_probabilities_keeps_to_them(last, loss):
    batch = classes()
    floor = floor_of(Subject(net(nn.Linear(32, 32)).append(last), batch, loss), batch)
    assert floor.known and floor.value == pytest.approx(0, abs=1e-3)


def test_a_loss_without_a_lower_bound_is_not_judged():
    with pytest.raises(NotProbed, match="no lower bound"):
        facts_of(net(out=1), torch.randn(16, 6), lambda model, x: -model(x).mean())


def test_a_loss_below_zero_of_several_outputs_is_not_judged():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net(out=2)

        def forward(self, x):
            return self.inner(x).unbind(1)

    def likelihood(out, y):
        return F.gaussian_nll_loss(out[0], y, out[1].exp()) - 5

    with pytest.raises(NotProbed, match="floor is not known"):
        facts_of(Two(), (torch.randn(16, 6), torch.randn(16)), likelihood)


# What is in the way ------------------------------------------------------------------------------


def test_a_cut_graph():
    found, _ = facts_of(net(), classes(), lambda out, y: F.cross_entropy(out.detach(), y))
    assert found.blocked == "detached graph" and found.share == 1 and not found.reached


def test_dead_units_and_the_layer_they_are_in():
    model = nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)
    )
    model[2].bias.data -= 1000
    found, result = facts_of(model, classes(), F.cross_entropy, adam(model, 1e-3))
    assert not found.reached and "no gradient" in found.blocked and "same output" in found.blocked
    assert any("448 of 452 parameters" in line for line in result.said)
    assert any("lost in 3" in line for line in result.said)


def test_targets_below_a_rectified_output():
    model = net(out=2).append(nn.ReLU())
    model[2].bias.data += 1
    batch = torch.randn(16, 6), torch.randn(16, 2) - 0.5
    found, result = facts_of(model, batch, F.mse_loss, adam(model))
    assert not found.reached and "target out of reach" in found.blocked
    share = float((batch[1] < -1e-3).float().mean())
    assert any(f"{share:.0%} of the target's values lie beyond 0 to inf" in s for s in result.said)


def test_targets_beyond_a_sigmoid():
    model = net(out=2).append(nn.Sigmoid())
    found, _ = facts_of(
        model, (torch.randn(16, 6), 4 * torch.rand(16, 2)), F.mse_loss, adam(model, 0.03)
    )
    assert not found.reached and "target out of reach" in found.blocked


def test_frozen_parameters():
    model = net(width=2)
    model[0].requires_grad_(False)
    optimizer = torch.optim.Adam(model[2].parameters(), lr=1e-2)
    found, result = facts_of(model, classes(), F.cross_entropy, optimizer)
    assert not found.reached and found.blocked == "frozen parameters"
    assert any("14 of 26 parameters are not trained" in line for line in result.said)


def test_a_model_that_is_only_too_small_is_not_said_to_be_blocked():
    model = nn.Sequential(nn.Linear(6, 1), nn.Tanh(), nn.Linear(1, 4))
    found, result = facts_of(model, classes(), F.cross_entropy, adam(model, 0.03))
    assert not found.reached and not hasattr(found, "blocked")
    assert found.falling < 0.2 and "too small" in result.said[-1]


# Awkward subjects --------------------------------------------------------------------------------


class Tuples(nn.Module):
    """Several outputs, a recurrent layer with dropout, tokens."""

    def __init__(self):
        super().__init__()
        self.embed, self.rnn = (
            nn.Embedding(12, 16),
            nn.GRU(16, 32, 2, batch_first=True, dropout=0.5),
        )
        self.head = nn.Linear(32, 12)

    def forward(self, ids):
        states, last = self.rnn(self.embed(ids))
        return self.head(states), last


def test_tokens_terms_and_several_outputs():
    model = Tuples().eval()
    ids = torch.randint(12, (4, 6))

    def loss(model, batch):
        scores, last = model(batch["ids"])
        return {
            "next": F.cross_entropy(scores[:, 1:-1].flatten(0, 1), batch["ids"][:, 2:].flatten()),
            "size": 1e-4 * last.square().mean(),
        }

    found, _ = facts_of(model, {"ids": ids}, loss, adam(model))
    assert found.reached and found.samples == 4 and not hasattr(found, "floor")


def test_noise_of_the_loss_is_the_same_at_every_step():
    class Denoiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net(out=6, width=64)

        def forward(self, x):
            return self.inner(x)

    def loss(model, x):
        noise = torch.randn_like(x)
        return F.mse_loss(model(x + noise), noise)

    model = Denoiser()
    found, _ = facts_of(model, torch.randn(8, 6), loss, adam(model))
    assert found.reached


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.LBFGS, torch.optim.RMSprop])
def test_other_optimizers(kind):
    model = net()
    found, _ = facts_of(model, classes(), F.cross_entropy, kind(model.parameters(), lr=0.01))
    assert found.reached


def test_one_sample_under_batch_norm():
    model = net(nn.BatchNorm1d(32), out=1)
    found, result = facts_of(model, (torch.randn(1, 6), torch.randn(1, 1)), F.mse_loss, adam(model))
    assert found.reached and "running statistics" in result.said[0]


def test_a_loss_of_the_whole_batch_only():
    target = torch.randn(24, 4)
    model = net()
    found, _ = facts_of(
        model, torch.randn(24, 6), lambda model, x: F.mse_loss(model(x), target), adam(model)
    )
    assert found.samples == 24


def test_half_precision():
    model = net(out=1).bfloat16()
    batch = torch.randn(8, 6).bfloat16(), torch.randn(8, 1).bfloat16()
    found, _ = facts_of(model, batch, F.mse_loss, adam(model))
    assert found.share < 0.3


def test_what_cannot_be_probed_says_why():
    model = net().requires_grad_(False)
    with pytest.raises(NotProbed, match="nothing to train"):
        facts_of(model, classes(), F.cross_entropy)
    with pytest.raises(NotProbed, match="loss is nan"):
        facts_of(net(), classes(), lambda out, y: F.cross_entropy(out, y) * math.nan)


def test_it_keeps_to_its_time():
    model = net(width=2)
    subject = Subject(model, classes(), F.cross_entropy, adam(model, 1e-9))
    result = performed(overfit_one_batch, subject, 0.01)
    assert "too short" in result.said[-1]
    assert "overfit/model/reached" not in result.facts  # nobody knows
    assert "overfit/model/falling" not in result.facts
