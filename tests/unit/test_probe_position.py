"""The probe position: what a shift changes, and whether the target needs the place."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unstuck.examine import examined, performed
from unstuck.experiment import NotProbed
from unstuck.lab.fields_place import need_of_place
from unstuck.lab.subject import Rollout, Subject
from unstuck.probes.position import position

SIDE = 16


def net(mode: str = "zeros", inputs: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, 8, 3, padding=1, padding_mode=mode), nn.ReLU(),
        nn.Conv2d(8, 1, 3, padding=1, padding_mode=mode),
    )  # fmt: skip


class Placed(nn.Module):
    """Adds its row to what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) + torch.linspace(0, 1, x.shape[2]).to(x.dtype)[:, None]


def textures(count: int = 48, side: int = SIDE) -> Tensor:
    torch.manual_seed(0)
    return F.avg_pool2d(torch.randn(count, 1, side + 2, side + 2), 3, 1) * 3


def told(model: nn.Module, x: Tensor, y: Tensor | None = None) -> dict[str, object]:
    target = x if y is None else y
    found = performed(position, Subject(model, (x, target), F.mse_loss))
    return {k.split("/")[2]: v for k, v in found.facts.items()}


def test_the_change_is_that_of_two_windows_on_one_picture():
    """The slow twin: cut both windows by hand, compare cell by cell where no border is seen."""
    torch.manual_seed(0)
    model, x = Placed(), textures(4)
    found = told(model, x)["change"]
    model, x = model.double().eval(), x.double()
    worst = 0.0
    with torch.no_grad():
        out = model(x)
        scatter = (out - out.mean()).square().mean().sqrt()
        for axis in (2, 3):
            step = 4  # 16 holds two of 4, not of 8, and more
            parts = x.split(1, axis)
            window = torch.cat([*parts[step:], *reversed(parts[SIDE - step - 1 : SIDE - 1])], axis)
            moved = model(window)
            gaps = []
            for row in range(3, SIDE - 3 - (step if axis == 2 else 0)):
                for column in range(3, SIDE - 3 - (step if axis == 3 else 0)):
                    there = (row + step, column) if axis == 2 else (row, column + step)
                    gaps.append(moved[..., row, column] - out[(..., *there)])
            worst = max(worst, float(torch.stack(gaps).square().mean().sqrt() / scatter))
    assert found == pytest.approx(worst, rel=1e-6)


def test_networks_are_told_apart_by_what_a_shift_does():
    x = textures(4)
    assert told(net("circular"), x)["kind"] == "equivariant"
    assert told(nn.Conv2d(1, 1, 1), x)["kind"] == "equivariant"
    assert told(net(), x)["kind"] == told(net("reflect"), x)["kind"] == "near the border"
    assert told(Placed(), x)["kind"] == "aware"
    dense = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, SIDE**2), nn.Unflatten(1, (1, SIDE, -1)))
    assert told(dense, x)["kind"] == "aware"


def test_strides_follow_shifts_of_whole_strides_only():
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1)
    )  # fmt: skip
    found = told(model, textures(4, 32))
    assert found["change"] < 1e-9 and found["by_one"] > 0.1


def test_a_classifier_is_judged_by_its_scores():
    x = textures(8)
    pooled = nn.Sequential(net("circular"), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    flat = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 3))
    few, many = told(pooled, x, torch.zeros(8, 1)), told(flat, x, torch.zeros(8, 3))
    assert few["change"] < many["change"] and many["kind"] == "aware"
    assert "needed" not in few and "needed" not in many


RAMP = torch.linspace(-1, 1, SIDE)[:, None]


@pytest.mark.parametrize(
    ("target", "least", "most"),
    [
        (lambda x: x, 0.0, 0.01),
        (lambda x: F.max_pool2d(x, 3, 1, 1), 0.0, 0.02),
        (lambda x: torch.randn_like(x), 0.0, 0.01),
        (lambda x: x + 2 * RAMP, 0.4, 0.5),  # 0.458: the ramp's variance inside over all
        (lambda x: x * (1 + RAMP), 0.1, 0.2),  # 0.175 by the same count
        (lambda x: (RAMP > 0).expand_as(x).float(), 0.8, 1.0),
    ],
    ids=["copy", "local", "noise", "shading", "vignette", "two halves"],
)
def test_the_need_is_the_share_that_only_the_place_explains(target, least, most):
    x = textures()
    need = need_of_place(x, net()(x).detach(), target(x), (2, 2))
    assert need is not None and least <= need.needed <= most


def test_few_samples_cannot_feign_a_need():
    """The mean of four pictures explains those four pictures, not the others."""
    torch.manual_seed(0)
    for seed in range(5):
        torch.manual_seed(seed)
        x = torch.randn(8, 1, SIDE, SIDE)
        need = need_of_place(x, x, torch.randn_like(x))
        assert need is not None and need.needed < 0.03
    assert need_of_place(x[:6], x[:6], x[:6]) is None


def test_the_share_of_shading_is_its_share_of_the_variance():
    """The twin: the variance of the shading over all of it, where the rest is noise."""
    torch.manual_seed(0)
    x, noise = torch.randn(64, 1, SIDE, SIDE), torch.randn(64, 1, SIDE, SIDE)
    need = need_of_place(x, torch.zeros_like(x), noise + 2 * RAMP, (3, 3))
    inner = 2 * RAMP[3:-3]
    share = float(inner.var(correction=0) / (1 + inner.var(correction=0)))
    assert need is not None and need.needed == pytest.approx(share, abs=0.06)


def test_pictures_that_show_their_places_are_said_to():
    x = torch.zeros(16, 1, SIDE, SIDE)
    x[:, :, 8, 8] = 1.0
    need = need_of_place(x, x, x + RAMP, (1, 1))
    assert need is not None and need.of_input > 0.99


def found_by(model: nn.Module, x: Tensor, y: Tensor, loss=F.mse_loss) -> list[str]:
    subject = Subject(model, (x, y), loss)
    return [c.finding.code for c in examined(subject, [position]).diagnosis.causes]


def test_blindness_is_found_where_the_task_needs_the_place():
    x = textures()
    shaded = x + 2 * RAMP
    assert found_by(net(), x, shaded) == found_by(net("circular"), x, shaded) == ["CTX003"]
    assert found_by(Placed(), x, shaded) == []
    assert found_by(net(), x, x) == []
    halves = (RAMP > 0).expand(48, -1, SIDE).long()
    two = nn.Sequential(net("circular"), nn.Conv2d(1, 2, 1))
    assert found_by(two, x, halves, F.cross_entropy) == ["CTX003"]
    inside = (x[:, 0] > 0).long()
    assert found_by(two, x, inside, F.cross_entropy) == []


def test_a_seed_in_the_middle_breaks_the_symmetry():
    """Every sample begins with the same cell; the picture to be built is the same, too."""
    x = torch.zeros(16, 1, SIDE, SIDE)
    x[:, :, 8, 8] = 1.0
    assert found_by(net("circular"), x, RAMP.expand(16, 1, -1, SIDE).contiguous()) == []


def test_a_field_that_sees_the_border_everywhere_makes_no_claim():
    x = textures()
    deep = nn.Sequential(*(nn.Conv2d(1, 1, 5, padding=2) for _ in range(5)))
    found = told(deep, x, x + 2 * RAMP)
    assert "needed" not in found and "change" not in found


def test_a_rule_with_a_rollout_is_shifted_by_one_step():
    rule = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")
    state = torch.randn(3, 2, 12, 12)
    rollout = Rollout(state, lambda x, n: x + rule(x), 4, lambda x: x.square().mean((1, 2, 3)))
    subject = Subject(rule, state, lambda model, batch: model(batch).mean(), rollout=rollout)
    facts = performed(position, subject).facts
    assert facts["position/model/kind"] == "equivariant" and "position/model/needed" not in facts


def test_an_output_without_scatter_is_not_judged():
    model = nn.Conv2d(1, 1, 3, padding=1)
    nn.init.zeros_(model.weight)
    with pytest.raises(NotProbed, match="the same everywhere"):
        told(model, textures(4))


def test_more_batches_and_a_loss_of_the_model_count_too():
    x = textures(32)
    batches = [{"x": part, "y": part + 2 * RAMP} for part in x.split(4)]
    subject = Subject(
        net(), batches[0], lambda model, b: F.mse_loss(model(b["x"]), b["y"]), batches=batches[1:]
    )
    assert 0.3 < performed(position, subject).facts["position/model/needed"] < 0.8


def test_batches_of_other_sizes_are_left_out():
    x = textures(16)
    small = textures(8, 12)
    subject = Subject(net(), (x, x + 2 * RAMP), F.mse_loss, batches=[(small, small)])
    assert performed(position, subject).facts["position/model/needed"] > 0.3


def test_noise_to_pictures_in_the_middle_is_no_blindness():
    """A denoiser of nearly nothing but noise: the mean picture helps, much else is left."""
    torch.manual_seed(0)
    rows = torch.arange(SIDE).float()
    middle = 7.5 + 2.5 * torch.randn(48, 2, 1, 1)
    y = torch.exp(-((rows[:, None] - middle[:, :1]) ** 2 + (rows - middle[:, 1:]) ** 2) / 8)
    assert found_by(net(), 0.1 * y + torch.randn_like(y), y) == []
