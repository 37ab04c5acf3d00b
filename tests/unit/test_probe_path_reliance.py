"""path-reliance against its slow twin, and on subjects that are awkward."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from executed_models import Unet, residual
from torch import Tensor, nn

import unstuck
from unstuck import Subject
from unstuck.cases.contrast.model import ContrastNet, zeros_like
from unstuck.cases.contrast.recipe import Recipe
from unstuck.experiment import NotProbed
from unstuck.probes.path_reliance import path_reliance


class Told(nn.Module):
    """A U-net whose halves can be called one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, 2, 1)
        self.bottom = nn.Conv2d(8, 8, 3, 2, 1)
        self.up = nn.ConvTranspose2d(8, 8, 4, 2, 1)
        self.join = nn.Conv2d(16, 4, 3, padding=1)
        self.last = nn.ConvTranspose2d(4, 4, 4, 2, 1)
        self.out = nn.Conv2d(8, 1, 3, padding=1)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        first = self.first(x).relu()
        second = self.second(first).relu()
        return self.bottom(second).relu(), [first, second]

    def decode(self, z: Tensor, skips: list[Tensor]) -> Tensor:
        inner = self.join(torch.cat([self.up(z).relu(), skips[1]], 1)).relu()
        return self.out(torch.cat([self.last(inner).relu(), skips[0]], 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(*self.encode(x))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def trained() -> tuple[Told, Tensor]:
    model, x = Told(), torch.randn(8, 1, 16, 16)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        F.l1_loss(model(x), x).backward()
        optimizer.step()
    return model, x


def test_the_facts_are_those_of_a_path_told_by_hand(trained) -> None:
    model, x = trained
    with torch.no_grad():
        z, skips = model.encode(x)
    by_hand = unstuck.path_reliance("model", model.decode, z, skips, lambda y: F.l1_loss(y, x))
    found = path_reliance(Subject(model, (x, x), F.l1_loss)).facts
    assert found["skips/model"] == found["skips/model/around"] == 2
    for name, value in by_hand.items():
        assert found[name] == pytest.approx(value, rel=1e-4)


@torch.no_grad()
def test_every_row_of_the_table_equals_its_slow_twin(trained) -> None:
    model, x = trained
    z, skips = model.encode(x)
    inner = model.up(z).relu()
    outer = model.last(model.join(torch.cat([inner, skips[1]], 1)).relu()).relu()

    def mean(t: Tensor) -> Tensor:
        return t.mean(0, keepdim=True).expand_as(t)

    def error(first: Tensor, second: Tensor, up: Tensor | None = None, last=None) -> float:
        inside = model.up(z).relu() if up is None else up
        joined = model.join(torch.cat([inside, second], 1)).relu()
        joined = model.last(joined).relu() if last is None else last
        return float(F.l1_loss(model.out(torch.cat([joined, first], 1)), x))

    a, b = skips
    intact = error(a, b)
    twin = {
        "second": [error(a, b * 0), error(a, mean(b)), error(a, b.roll(4, 0)),
                   error(a, b, up=inner.roll(4, 0))],
        "first": [error(a * 0, b), error(mean(a), b), error(a.roll(4, 0), b),
                  error(a, b, last=outer.roll(4, 0))],
    }  # fmt: skip
    (_, table) = path_reliance(Subject(model, (x, x), F.l1_loss)).pictures
    for row in table.rows:
        expected = [value / intact for value in twin[row[0]]]
        assert list(row[4:]) == pytest.approx(expected, rel=1e-3)


def test_the_answer_in_the_skips_shows_as_a_leak(trained) -> None:
    model, x = trained

    def loss(model, batch):
        return F.l1_loss(model(batch[0]), batch[0])

    def at_use(model, batch):
        return F.l1_loss(model(torch.zeros_like(batch[0])), batch[0])

    found = path_reliance(Subject(model, (x, x), loss, at_use=at_use))
    expected = float(at_use(model, (x, x)).detach() / loss(model, (x, x)).detach())
    assert found.facts["reliance/model/leak"] == pytest.approx(expected, rel=1e-4)
    assert any("known at use" in line for line in found.said)


def test_a_residual_network_has_a_table_and_no_facts_on_reliance() -> None:
    x, y = torch.randn(8, 3, 16, 16), torch.randint(10, (8,))
    found = path_reliance(Subject(residual(in_place=True), (x, y), F.cross_entropy))
    assert set(found.facts) == {"skips/model", "skips/model/around"}
    assert found.facts["skips/model"] == 3 and not found.facts["skips/model/around"]
    assert len(found.pictures[1].rows) == 3


def test_terms_that_are_served_by_other_skips_are_paths_of_their_own() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = Told(), Told()

        def forward(self, x):
            return self.one(x), self.two(x)

    x = torch.randn(8, 1, 16, 16)

    def loss(model, batch):
        one, two = model(batch)
        return {"near": F.l1_loss(one, batch), "far": F.l1_loss(two, batch.flip(3))}

    found = path_reliance(Subject(Two(), x, loss)).facts
    paths = {name.split("/")[1] for name in found if name.startswith("reliance/")}
    assert paths == {"model", "model:near", "model:far"}


@dataclass
class Pair:
    x: Tensor
    y: Tensor


@pytest.mark.parametrize("kind", ["dict", "dataclass", "half", "gradients", "training only"])
def test_awkward_subjects_are_looked_at_all_the_same(kind: str) -> None:
    model, x = Told(), torch.randn(4, 1, 16, 16)
    batch = {"x": x, "length": 4}

    def loss(model, batch):
        seen = batch.x if isinstance(batch, Pair) else batch["x"]
        if kind == "gradients":
            seen = seen.clone().requires_grad_()
        if kind == "training only" and not model.training:
            raise ValueError("there is no loss in evaluation mode")
        out = model(seen)
        if kind == "gradients":
            (slope,) = torch.autograd.grad(out.sum(), seen, create_graph=True)
            return F.l1_loss(out, seen) + 0.1 * slope.square().mean()
        return F.l1_loss(out, seen)

    if kind == "dataclass":
        batch = Pair(x, x)
    if kind == "half":
        model, batch = model.bfloat16(), {"x": x.bfloat16()}
    found = path_reliance(Subject(model, batch, loss))
    assert found.facts["skips/model"] == 2 and found.facts["reliance/model/skips"] > 0


def test_one_sample_has_no_other_to_borrow_from(trained) -> None:
    model, x = trained
    found = path_reliance(Subject(model, (x[:1], x[:1]), F.l1_loss))
    assert "reliance/model/skips" in found.facts
    assert "reliance/model/bottleneck" not in found.facts


def test_where_there_is_no_skip_it_says_so() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    found = path_reliance(Subject(model, (torch.randn(4, 4), torch.randn(4, 2)), F.mse_loss))
    assert found.facts == {"skips/model": 0, "skips/model/around": 0}
    assert found.said == ("The model has no skip connection.",)


def test_a_loss_that_is_no_number_is_left_alone() -> None:
    x = torch.full((4, 3, 16, 16), torch.nan)
    with pytest.raises(NotProbed, match="nan"):
        path_reliance(Subject(Unet(False), (x, x), F.mse_loss))


def test_short_of_time_it_gives_the_facts_and_says_what_is_missing(trained) -> None:
    model, x = trained
    found = path_reliance(Subject(model, (x, x), F.l1_loss), seconds=0.0)
    assert "reliance/model/skips" in found.facts
    assert any("0 of 2 skips" in line for line in found.said)


def test_a_model_that_remembers_its_calls_is_run_from_the_same_state() -> None:
    class Fading(Told):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.ones(()))

        def forward(self, x):
            self.calls += 1
            return super().forward(x) * self.calls

    model, x = Fading(), torch.randn(4, 1, 16, 16)
    found = unstuck.probe(model, (x, x), F.l1_loss, only=["path-reliance"]).facts
    bars = found["reliance/model/bottleneck"]
    assert 0.5 < bars < 2 and float(model.calls) == 1


@pytest.mark.parametrize(("strategy", "same"), [("zero_skip", True), ("source_skip", True)])
def test_paths_of_the_contrast_case_are_those_it_tells_itself(strategy: str, same: bool) -> None:
    recipe = Recipe(cross_domain_strategy=strategy, same_domain_use_skip=same)
    model = ContrastNet(recipe).eval()
    a, b = torch.randn(4, 2, 16, 16), torch.randn(4, 2, 16, 16)
    cross = strategy != "zero_skip"

    def error(change, half: int = 0) -> dict[str, float]:
        """Both terms, each skip changed and each bottleneck taken `half` a batch away."""
        with torch.no_grad():
            (za, sa), (zb, sb) = model.encoder(a), model.encoder(b)
            sa, sb = [change(s) for s in sa], [change(s) for s in sb]
            za2, zb2 = za.roll(half, 0), zb.roll(half, 0)
            zeros = zeros_like(sa)
            recon = F.l1_loss(model.decoder_a(za2, sa), a) + F.l1_loss(model.decoder_b(zb2, sb), b)
            far = F.l1_loss(model.decoder_b(za2 if cross else za, sa if cross else zeros), b)
            far += F.l1_loss(model.decoder_a(zb2 if cross else zb, sb if cross else zeros), a)
            return {"recon": float(recon), "cross": float(far)}

    def loss(model, batch):
        out = model(*batch)
        return {
            "recon": F.l1_loss(out.a_from_a, batch[0]) + F.l1_loss(out.b_from_b, batch[1]),
            "cross": F.l1_loss(out.b_from_a, batch[1]) + F.l1_loss(out.a_from_b, batch[0]),
        }

    found = path_reliance(Subject(model, (a, b), loss)).facts
    intact, cut, swapped = error(lambda s: s), error(lambda s: 0 * s), error(lambda s: s, half=2)
    for term in ("recon", "cross") if cross else ("recon",):
        path = f"model:{term}" if cross else "model"
        assert found[f"reliance/{path}/skips"] == pytest.approx(cut[term] / intact[term], rel=1e-4)
        expected = swapped[term] / intact[term]
        assert found[f"reliance/{path}/bottleneck"] == pytest.approx(expected, rel=1e-4)
    assert found["skips/model"] == (8 if cross else 4)
