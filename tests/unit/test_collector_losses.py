"""What is recorded of a loss's inputs equals what a slow and obvious computation says."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unstuck


def watched(body, tmp_path):
    torch.manual_seed(0)
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        body()
    return unstuck.load(run.path)


def trained(loss_of, steps=3, inputs=6, outputs=4, size=16):
    """A body that trains a linear layer by `loss_of(outputs, step)`."""

    def body():
        model = nn.Linear(inputs, outputs)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(steps):
            loss = loss_of(model(torch.randn(size, inputs)), step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return body


def test_probabilities_are_told_from_scores(tmp_path):
    y = torch.arange(16) % 4

    def loss_of(z, step):
        right = F.cross_entropy(z, y)
        wrong = F.cross_entropy(F.softmax(z, 1), y)
        return right + wrong + F.nll_loss(F.log_softmax(z, 1), y)

    run = watched(trained(loss_of), tmp_path)
    assert run.series["prediction/cross_entropy/probability"].value.tolist() == [0, 0, 0]
    assert run.series["prediction/cross_entropy.2/probability"].value.tolist() == [1, 1, 1]
    assert run.facts["prediction/cross_entropy.2/made_by"] == "softmax"
    assert "prediction/cross_entropy/made_by" not in run.facts
    assert run.series["prediction/nll_loss/log_mass"].value.max() < 1e-5


def test_log_mass_is_the_mean_logarithm_of_the_rows_sums(tmp_path):
    seen = []

    def loss_of(z, step):
        seen.append(z.detach().exp().sum(1).log().abs().mean().item())
        return F.nll_loss(z, torch.arange(16) % 4)

    run = watched(trained(loss_of), tmp_path)
    assert run.series["prediction/nll_loss/log_mass"].value == pytest.approx(seen, rel=1e-5)


def test_equal_labels_are_counted_over_the_micro_batches_of_a_step(tmp_path):
    labels = [torch.randint(4, (16,), generator=torch.Generator().manual_seed(i)) for i in range(6)]

    def body():
        model = nn.Linear(6, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(3):
            optimizer.zero_grad()
            for micro in range(2):
                loss = F.cross_entropy(model(torch.randn(16, 6)), labels[2 * step + micro])
                loss.backward()
            optimizer.step()

    run = watched(body, tmp_path)
    for step in range(3):
        both = torch.cat(labels[2 * step : 2 * step + 2])
        pairs = [(a, b) for i, a in enumerate(both) for j, b in enumerate(both) if i != j]
        alike = sum(bool(a == b) for a, b in pairs) / len(pairs)
        assert run.series["target/cross_entropy/alike"].value[step] == pytest.approx(alike)
        seen = torch.bincount(torch.cat(labels[: 2 * step + 2]), minlength=4).double()
        share = float(seen.max() / seen.sum())
        assert run.series["target/cross_entropy/majority"].value[step] == pytest.approx(share)


def test_the_first_look_at_a_minority_is_what_a_loop_over_the_batch_counts(tmp_path):
    y = torch.tensor([0] * 12 + [1, 1, 2, 3])
    seen = []

    def loss_of(z, step):
        seen.append(z.detach().clone())
        return F.cross_entropy(z, y)

    run = watched(trained(loss_of, steps=1), tmp_path)
    said = seen[0].argmax(1)
    rare = [bool(said[i] == y[i]) for i in range(16) if y[i] != 0]
    first = {
        key: run.series[f"prediction/cross_entropy/{key}"].value[0] for key in ("recall", "said")
    }
    assert first["recall"] == pytest.approx(sum(rare) / len(rare))
    assert first["said"] == pytest.approx(float((said == 0).float().mean()))


def test_pixels_are_read_in_the_right_places(tmp_path):
    """Scores of a picture are matched with the labels of their own pixels."""
    labels = torch.randint(3, (4, 9, 7), generator=torch.Generator().manual_seed(3))
    labels[labels == 2] = 0

    def body():
        scores = nn.Parameter(F.one_hot(labels, 3).permute(0, 3, 1, 2).float())
        optimizer = torch.optim.SGD([scores], lr=1e-3)
        loss = F.cross_entropy(scores * 1.0, labels)
        loss.backward()
        optimizer.step()

    run = watched(body, tmp_path)
    assert run.series["prediction/cross_entropy/recall"].value.tolist() == [1.0]
    assert "target/cross_entropy/alike" not in run.series, "pixels are no samples"


def test_targets_out_of_reach(tmp_path):
    t = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))

    def loss_of(z, step):
        return F.mse_loss(F.relu(z), t) + F.l1_loss(z, t) + F.huber_loss(torch.tanh(z), t)

    run = watched(trained(loss_of), tmp_path)
    spread = (t - t.mean()).square().sum()
    below = t.clamp(max=0).square().sum() / spread
    outside = (t.abs() - 1).clamp(min=0).square().sum() / spread
    assert run.series["unreachable/mse_loss"].value == pytest.approx([float(below)] * 3, rel=1e-4)
    assert run.series["unreachable/huber_loss"].value == pytest.approx([float(outside)] * 3)
    assert "unreachable/l1_loss" not in run.series, "a linear layer reaches everything"


@pytest.mark.parametrize(
    ("loss_of", "name", "times"),
    [
        (lambda z, t: F.mse_loss(z, t), "mse_loss", 16),
        (lambda z, t: F.mse_loss(z[:, 0], t), "mse_loss", 1),
        (lambda z, t: F.smooth_l1_loss(z, t[:1]), "smooth_l1_loss", 1),
        (lambda z, t: ((z - t) ** 2).mean(), "loss", 16),
        (lambda z, t: (t - z).abs().sum() / 16, "loss", 16),
        (lambda z, t: ((z[:, 0] - t) ** 2).mean(), "loss", None),
        (lambda z, t: ((z[:, 0].unsqueeze(1) - t) ** 2).mean(), "loss", None),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_broadcast_shapes(loss_of, name, times, tmp_path):
    t = torch.randn(16, generator=torch.Generator().manual_seed(1))
    run = watched(trained(lambda z, step: loss_of(z, t), outputs=1), tmp_path)
    found = run.series.get(f"broadcast/{name}")
    assert (found is None) if times is None else found.value.tolist() == [times] * 3


def test_losses_that_are_not_trained_by_leave_nothing(tmp_path):
    def loss_of(z, step):
        with torch.no_grad():
            F.cross_entropy(F.softmax(z, 1), torch.arange(16) % 4)
        return z.square().mean()

    run = watched(trained(loss_of), tmp_path)
    assert not run.matching("prediction/*") and not run.matching("target/*")
