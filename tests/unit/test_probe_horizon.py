"""The probe horizon: fields exact to the pixel, against the formula and against brute force."""

import pytest
import torch
import torch.nn.functional as F
from known_fields import NETS, Transformer, sequence
from torch import Tensor, nn

from unstuck.examine import performed
from unstuck.experiment import NotProbed
from unstuck.lab.subject import Rollout, Subject
from unstuck.probes.horizon import horizon

SIDE = 24


def subject(net: nn.Module, side: int = SIDE) -> Subject:
    x = torch.randn(3, 1, side, side)
    return Subject(net, (x, x), lambda out, target: out.square().mean())


def told(of: Subject) -> dict[str, object]:
    return {k.split("/")[2]: v for k, v in performed(horizon, of).facts.items()}


def by_brute_force(net: nn.Module, side: int = SIDE) -> tuple[int, int]:
    """Change one pixel after the other, and see whether the middle of the output moves."""
    net = net.double().eval()
    seen = torch.zeros(side, side, dtype=torch.bool)
    for seed in range(3):
        torch.manual_seed(seed)
        base = torch.randn(1, 1, side, side, dtype=torch.float64)
        many = base.repeat(side * side, 1, 1, 1)
        many.view(side * side, -1).diagonal().add_(3 * (-1) ** seed)
        with torch.no_grad():
            one, out = net(base), torch.cat([net(part) for part in many.split(96)])
        row, column = (s // 2 for s in out.shape[2:])
        moved = (out - one)[..., row, column].abs().amax(1) > 1e-12
        seen |= moved.view(side, side)
    rows, columns = seen.any(1).nonzero(), seen.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@pytest.mark.parametrize("name", NETS)
def test_the_field_is_what_the_formula_says(name):
    torch.manual_seed(0)
    make, formula = NETS[name]
    net = make()
    with torch.no_grad():
        middle = net(torch.zeros(2, 1, SIDE, SIDE)).shape[-1] // 2
    first, last = formula(middle, middle)
    found = told(subject(net))
    assert (found["height"], found["width"]) == (last - first + 1,) * 2
    clipped = min(last, SIDE - 1) - max(first, 0) + 1
    assert found["share"] == pytest.approx((clipped / SIDE) ** 2)


@pytest.mark.parametrize("name", ["even kernel", "valid", "dilated", "pooled", "u-net", "grouped"])
def test_the_field_is_what_changing_every_pixel_finds(name):
    torch.manual_seed(1)
    net = NETS[name][0]()
    found = told(subject(net))
    assert (found["height"], found["width"]) == by_brute_force(net)


@pytest.mark.parametrize(
    "make",
    [
        Transformer,
        lambda: sequence(
            nn.Flatten(), nn.Linear(SIDE**2, SIDE**2), nn.Unflatten(1, (1, SIDE, SIDE))
        ),
        lambda: sequence(
            nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        ),
    ],
    ids=["attention", "fully connected", "pooled to one"],
)
def test_global_networks_see_everything(make):
    found = told(subject(make()))
    assert found["whole"] is True and found["share"] == 1 and found["height"] == SIDE


@pytest.mark.parametrize("mode", ["zeros", "circular", "replicate", "reflect"])
def test_the_border_is_told_from_the_numbers(mode):
    net = sequence(
        nn.Conv2d(1, 6, 3, padding=1, padding_mode=mode), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Conv2d(6, 6, 3, stride=2, padding=1, padding_mode=mode), nn.ReLU(),
        nn.Conv2d(6, 1, 5, padding=2, padding_mode=mode),
    )  # fmt: skip
    assert told(subject(net))["border"] == mode.replace("zeros", "zero")


def test_nothing_is_filled_in_where_the_output_shrinks_or_looks_at_one_cell():
    assert told(subject(NETS["valid"][0]()))["border"] == "none"
    assert told(subject(NETS["cell by cell"][0]()))["border"] == "none"


class Rule(nn.Module):
    """A growing automaton: fixed filters, a last layer that begins at zero, cells that fire."""

    def __init__(self, reach: int = 1) -> None:
        super().__init__()
        self.register_buffer("edge", torch.randn(12, 1, 2 * reach + 1, 2 * reach + 1))
        self.think, self.act = nn.Conv2d(12, 16, 1), nn.Conv2d(16, 4, 1, bias=False)
        self.reach = reach
        nn.init.zeros_(self.act.weight)

    def forward(self, x: Tensor) -> Tensor:
        around = F.pad(x, (self.reach,) * 4, mode="circular")
        seen = F.relu(self.think(F.conv2d(around, self.edge, groups=4)))
        return x + self.act(seen) * (torch.rand_like(x[:, :1]) < 0.5)


@pytest.mark.parametrize(("reach", "steps"), [(1, 1), (1, 5), (1, 14), (2, 4)])
def test_news_travel_the_radius_each_step(reach, steps):
    torch.manual_seed(0)
    rule = Rule(reach)
    state = torch.zeros(2, 4, SIDE, SIDE)

    def advance(x: Tensor, count: int) -> Tensor:
        for _ in range(count):
            x = rule(x)
        return x

    rollout = Rollout(state, advance, steps, lambda x: x.square().mean((1, 2, 3)))
    of = Subject(rule, state, lambda model, batch: model(batch).mean(), rollout=rollout)
    found = told(of)
    assert (found["radius"], found["steps"]) == (reach, steps)
    assert found["height"] == found["width"] == 2 * reach * steps + 1
    assert found["whole"] is (2 * reach * steps + 1 > SIDE)
    assert found["border"] == "circular"


def test_sequences_and_volumes_have_fields_too():
    x = torch.randn(2, 3, 40)
    net = sequence(nn.Conv1d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv1d(8, 1, 3, padding=1))
    assert told(Subject(net, (x, x), lambda p, t: p.square().mean()))["length"] == 7
    words = torch.randn(2, 30, 8)
    attend = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert told(Subject(attend, (words, words), F.mse_loss))["whole"] is True
    volume = torch.randn(1, 1, 10, 10, 10)
    found = told(Subject(nn.Conv3d(1, 1, 3, padding=1), (volume, volume), F.mse_loss))
    assert [found[side] for side in ("depth", "height", "width")] == [3, 3, 3]


def test_gates_that_are_closed_and_weights_that_are_zero_hide_nothing():
    net = sequence(nn.Conv2d(1, 2, 5, padding=2), nn.ReLU(), nn.Conv2d(2, 1, 3, padding=1))
    nn.init.constant_(net[0].bias, -100)
    nn.init.zeros_(net[2].weight)
    found = told(subject(net))
    assert found["height"] == 7 and "effective" not in found


def test_a_path_without_a_gradient_is_found_by_changing_the_input():
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.near, self.far = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 4, 9, padding=4)

        def forward(self, x: Tensor) -> Tensor:
            return self.near(x) + (self.far(x) > 0).float()

    torch.manual_seed(0)
    assert told(subject(Steps()))["height"] == 9


def test_the_effective_radius_holds_nine_tenths_of_the_gradient():
    torch.manual_seed(0)
    net = NETS["deep"][0]()
    of = subject(net)
    found = told(of)["effective"]
    x = of.batch[0].double().requires_grad_()
    net.double()(x)[..., SIDE // 2, SIDE // 2].sum().backward()
    size = x.grad.abs().sum((0, 1))
    rows, columns = torch.meshgrid(*(torch.arange(SIDE).double(),) * 2, indexing="ij")
    away = torch.hypot(
        rows - (rows * size).sum() / size.sum(), columns - (columns * size).sum() / size.sum()
    )
    inside = [float(size[away <= r + 0.005].sum() / size.sum()) for r in (found - 0.02, found)]
    assert inside[0] < 0.9 <= inside[1]
    assert found < 19 / 2, "less than the field of 19"


class Awkward(nn.Module):
    """A table of two inputs, several outputs, and a constant in single precision."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.kernel = nn.Conv2d(1, 1, 3, padding=1), torch.ones(1, 1, 3, 3)
        self.embed = nn.Embedding(5, 1)

    def forward(self, table: dict[str, Tensor], scale: float = 1.0) -> dict[str, Tensor]:
        x = F.conv2d(table["x"], self.kernel, padding=1) + self.embed(table["k"])[..., None, None]
        return {"score": x.mean((1, 2, 3)), "picture": self.net(x) * scale}


def test_awkward_models_are_measured():
    batch = {"x": torch.randn(1, 1, 20, 20), "k": torch.tensor([3])}
    loss = lambda model, batch: model(batch)["picture"].square().mean()  # noqa: E731
    assert told(Subject(Awkward(), batch, loss))["height"] == 5
    half = nn.Conv2d(1, 1, 3, padding=1).bfloat16()
    x = torch.randn(1, 1, 12, 12).bfloat16()
    assert told(Subject(half, (x, x), lambda p, t: p.float().square().mean()))["height"] == 3
    waves = nn.Conv2d(1, 1, 3, padding=1, dtype=torch.complex64)
    z = torch.randn(2, 1, 12, 12, dtype=torch.complex64)
    assert told(Subject(waves, (z, z), lambda p, t: p.abs().mean()))["height"] == 3


def test_a_network_that_works_in_place_is_measured():
    net = sequence(nn.ReLU(inplace=True), nn.Conv2d(1, 1, 3, padding=1))
    found = told(subject(net))
    assert found["height"] == 3 and found["border"] == "zero"


def test_a_model_that_only_trains_is_not_probed():
    class Trains(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            if not self.training:
                raise RuntimeError("only in training")
            return super().forward(x)

    with pytest.raises(NotProbed, match="evaluation mode: only in training"):
        told(subject(Trains(1, 1, 3)))


def test_without_places_the_reason_is_said():
    words = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9))
    batch = (torch.randint(9, (2, 6)), torch.randint(9, (2, 6)))
    with pytest.raises(NotProbed, match="no picture, volume or sequence"):
        performed(
            horizon, Subject(words, batch, lambda p, t: F.cross_entropy(p.transpose(1, 2), t))
        )
    flat = (torch.randn(4, 7), torch.randn(4, 2))
    with pytest.raises(NotProbed, match="no picture"):
        performed(horizon, Subject(nn.Linear(7, 2), flat, F.mse_loss))
    noise = (torch.randn(4, 7, 1, 1), torch.randn(4, 1, 4, 4))
    with pytest.raises(NotProbed, match="no places"):
        performed(horizon, Subject(nn.ConvTranspose2d(7, 1, 4), noise, F.mse_loss))
