"""echo against its slow twin: copies, shares of noise, and what it leaves alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from unstuck import Subject
from unstuck.experiment import NotProbed
from unstuck.probes.echo import echo


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def clean(count: int = 16) -> Tensor:
    return F.interpolate(torch.randn(count, 1, 4, 4), 16, mode="bicubic")


def facts(subject: Subject) -> dict[str, float]:
    return {name.split("/")[2]: value for name, value in echo(subject).facts.items()}


class Scaled(nn.Module):
    """b x: passes b of the noise, and lies (1 - b) |x| away from its input."""

    def __init__(self, b: float) -> None:
        super().__init__()
        self.b = b

    def forward(self, x: Tensor) -> Tensor:
        return self.b * x


@pytest.mark.parametrize("b", [0.0, 0.3, 1.0])
def test_distances_and_share_are_those_computed_by_hand(b: float) -> None:
    y = clean()
    x = y + 0.4 * torch.randn_like(y)
    found = facts(Subject(Scaled(b), (x, y), F.mse_loss))
    asked = (x - y).square().mean().sqrt()
    assert found["asked"] == pytest.approx(float(asked / y.std()), rel=1e-2)
    away = ((1 - b) * x).square().mean().sqrt() / asked
    assert found["identity"] == pytest.approx(float(away), rel=1e-4)
    assert found["noise"] == pytest.approx(b, abs=1e-5)


def test_the_share_of_noise_is_the_trace_of_the_models_jacobian() -> None:
    y = clean(2)
    x = y + 0.2 * torch.randn_like(y)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1))
    model[0].weight.data *= 0.1  # so that it is nearly linear over the noise
    with torch.no_grad():
        model[2].weight.mul_(8)
    jacobian = torch.autograd.functional.jacobian(lambda v: model(v[None])[0], x[0])
    trace = jacobian.reshape(256, 256).trace() / 256
    batch = (x[:1].expand(64, -1, -1, -1) + 0, y[:1].expand(64, -1, -1, -1) + 0)
    found = facts(Subject(model, batch, F.mse_loss))
    assert found["noise"] == pytest.approx(float(trace), abs=0.03)


def test_a_smoother_passes_what_theory_says() -> None:
    """A 3x3 mean keeps a ninth of white noise at each pixel."""
    y = clean()
    x = y + 0.3 * torch.randn_like(y)
    found = facts(Subject(nn.AvgPool2d(3, 1, 1), (x, y), F.mse_loss))
    assert found["noise"] == pytest.approx(1 / 9, abs=0.01)


def test_the_answer_is_what_the_loss_likes_best() -> None:
    x, y, other = clean(), clean(), clean()

    def loss(model, batch):
        return F.l1_loss(model(batch["seen"]), batch["wanted"])

    batch = {"other": other, "seen": x, "wanted": y}
    found = facts(Subject(Scaled(1.0), batch, loss))
    assert found["asked"] == pytest.approx(
        float((x - y).square().mean().sqrt() / y.std()), rel=0.05
    )
    assert found["identity"] == 0 and "noise" not in found  # a difference of pictures is no noise


def test_noise_that_the_loss_adds_itself_is_part_of_the_input() -> None:
    def loss(model, batch):
        return F.mse_loss(model(batch + 0.3 * torch.randn_like(batch)), batch)

    found = facts(Subject(Scaled(0.5), clean(), loss))
    assert found["asked"] > 0.2 and found["noise"] == pytest.approx(0.5, abs=1e-5)


def test_an_autoencoder_is_asked_for_its_input() -> None:
    x = clean()
    result = echo(Subject(Scaled(0.9), (x, x), F.mse_loss))
    assert result.facts == {"echo/model/asked": 0.0}
    assert "autoencoder" in result.said[0]


def test_updates_are_counted_by_the_optimizer() -> None:
    model = nn.Conv2d(1, 1, 3, padding=1)
    y = clean()
    x = y + 0.3 * torch.randn_like(y)
    optimizer = torch.optim.Adam(model.parameters())
    assert "steps" not in facts(Subject(model, (x, y), F.mse_loss, optimizer))
    for _ in range(3):
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
    assert facts(Subject(model, (x, y), F.mse_loss, optimizer))["steps"] == 3


@pytest.mark.parametrize("difference", ["blur", "hole", "sparse"])
def test_a_difference_with_structure_is_not_taken_for_noise(difference: str) -> None:
    y = clean()
    changed = {
        "blur": lambda: F.avg_pool2d(y, 3, 1, 1),
        "hole": lambda: torch.cat([y[..., :8], 0 * y[..., 8:]], 3),
        "sparse": lambda: torch.where(torch.rand_like(y) < 0.02, y + 3, y),
    }[difference]()
    assert "noise" not in facts(Subject(Scaled(0.9), (changed, y), F.mse_loss))


def test_a_diffusion_model_that_draws_noise_is_left_alone() -> None:
    y = clean()

    class Drawing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x - F.avg_pool2d(x, 3, 1, 1)

    def loss(model, batch):
        noise = torch.randn_like(batch)
        return F.mse_loss(model(batch + noise), noise)

    with pytest.raises(NotProbed, match="not in the batch"):
        echo(Subject(Drawing(), y, loss))


@pytest.mark.parametrize("kind", ["classifier", "tokens", "several"])
def test_what_is_no_picture_to_picture_model_is_left_alone(kind: str) -> None:
    x = clean(4)

    class Several(nn.Module):
        def forward(self, x):
            return x, 2 * x

    subject = {
        "classifier": lambda: Subject(
            nn.Sequential(nn.Flatten(), nn.Linear(256, 3)),
            (x, torch.tensor([0, 1, 2, 0])), F.cross_entropy,
        ),
        "tokens": lambda: Subject(
            nn.Embedding(5, 5), (torch.arange(4), torch.arange(4)), F.cross_entropy
        ),
        "several": lambda: Subject(Several(), x, lambda model, b: sum(model(b)).square().mean()),
    }[kind]()  # fmt: skip
    with pytest.raises(NotProbed, match="picture"):
        echo(subject)


def test_a_loss_that_takes_gradients_and_half_precision_are_no_obstacle() -> None:
    y = clean()
    x = y + 0.3 * torch.randn_like(y)
    model = nn.Conv2d(1, 1, 3, padding=1)

    def loss(model, batch):
        seen = batch[0].clone().requires_grad_()
        out = model(seen)
        (slope,) = torch.autograd.grad(out.sum(), seen, create_graph=True)
        return F.mse_loss(out, batch[1]) + 1e-3 * slope.square().mean()

    assert "noise" in facts(Subject(model, (x, y), loss))
    half = nn.Conv2d(1, 1, 3, padding=1).bfloat16()
    assert "noise" in facts(Subject(half, (x.bfloat16(), y.bfloat16()), F.mse_loss))


def test_a_copy_and_a_leak_are_diagnosed_once_training_has_gone_on() -> None:
    y = clean()
    x = y + 0.3 * torch.randn_like(y)
    codes = {}
    for b in (1.0, 0.8, 0.2):
        found = unstuck.probe(Scaled(b), (x, y), F.mse_loss, only=["echo"]).facts
        run = unstuck.Run.of(facts={**found, "echo/model/steps": 1000})
        codes[b] = [c.finding.code for c in unstuck.diagnose(run).causes]
    assert codes == {1.0: ["SKP002"], 0.8: ["SKP004"], 0.2: []}
