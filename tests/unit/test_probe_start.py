"""What the probe `start` says of the first loss, of what losses reach, and of what use needs."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import unstuck
from unstuck.examine import Examination, performed
from unstuck.experiment import Listing, NotProbed
from unstuck.lab.subject import Subject
from unstuck.probes.start import start


def mlp(inputs: int = 8, outputs: int = 10, width: int = 16) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))


def labelled(n: int = 64, classes: int = 10) -> tuple[Tensor, Tensor]:
    return torch.randn(n, 8), torch.randint(classes, (n,))


def codes(examination: Examination) -> list[str]:
    return [f.code for f in examination.diagnosis.at_least("warning")]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_a_guess_among_classes_costs_log_c_whatever_is_done_to_the_loss() -> None:
    weight = torch.rand(10)
    batch = labelled()
    y = batch[1].clone()
    y[::3] = -100
    twins = {
        lambda out, y: F.cross_entropy(out, y): math.log(10),
        lambda out, y: 3 * nn.CrossEntropyLoss(weight=weight)(out, y): 3 * math.log(10),
        lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1): math.log(10),
        lambda out, y: F.cross_entropy(out, y, reduction="sum"): 64 * math.log(10),
        lambda out, y: F.nll_loss(out.log_softmax(1), y): math.log(10),
        lambda out, y: F.cross_entropy(input=out, target=y) + 2.5: math.log(10) + 2.5,
    }
    for loss, expected in twins.items():
        facts = start(Subject(mlp(), batch, loss)).facts
        assert facts["start/model/expected"] == pytest.approx(expected, rel=1e-5)
    facts = start(Subject(mlp(), (batch[0], y), F.cross_entropy)).facts
    assert facts["start/model/expected"] == pytest.approx(math.log(10), rel=1e-5)


def test_a_guess_of_numbers_costs_their_variance() -> None:
    y = 5 + torch.tensor([1.0, 3.0]) * torch.randn(64, 2)
    subject = Subject(mlp(outputs=2), (torch.randn(64, 8), y), F.mse_loss)
    by_hand = sum(float((y[:, k] - y[:, k].mean()).square().sum()) for k in range(2)) / y.numel()
    facts = start(subject).facts
    assert facts["start/model/expected"] == pytest.approx(by_hand, rel=1e-5)
    assert facts["start/model/ratio"] == pytest.approx(
        float(subject.value().detach()) / by_hand, rel=1e-5
    )
    swapped = Subject(mlp(outputs=2), (torch.randn(64, 8), y), lambda out, y: F.mse_loss(y, out))
    assert start(swapped).facts["start/model/expected"] == pytest.approx(by_hand, rel=1e-5)


def test_terms_without_a_prediction_stay_what_they_are() -> None:
    model, batch = mlp(), labelled()

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        weights = sum(p.square().sum() for p in model.parameters())
        return {"fit": F.cross_entropy(model(batch[0]), batch[1]), "decay": 0.1 * weights}

    decay = float(sum(p.detach().square().sum() for p in model.parameters())) * 0.1
    facts = start(Subject(model, batch, loss)).facts
    assert facts["start/model/expected"] == pytest.approx(math.log(10) + decay, rel=1e-5)


def test_a_loss_of_ones_own_has_no_guess_and_that_is_said() -> None:
    batch = torch.randn(8, 8), torch.randn(8, 10)
    result = start(Subject(mlp(), batch, lambda out, y: (out - y).square().mean()))
    assert "start/model/ratio" not in result.facts
    assert "no guess stands beside it" in result.said[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_classifier_that_begins_sure_of_itself_is_named_before_its_first_step(seed: int) -> None:
    torch.manual_seed(seed)
    for spoil in (lambda m: nn.init.normal_(m[2].weight, std=10), lambda m: m[2].weight.mul_(80)):
        model = mlp()
        with torch.no_grad():
            spoil(model)
        adam = torch.optim.Adam(model.parameters())
        found = unstuck.probe(model, labelled(), F.cross_entropy, adam, only=["start"])
        assert codes(found) == ["INI001"]


@pytest.mark.parametrize("seed", range(5))
def test_fresh_classifiers_and_ones_that_may_be_trained_raise_no_alarm(seed: int) -> None:
    torch.manual_seed(seed)
    tokens = nn.Sequential(nn.Embedding(50, 16), nn.Flatten(), nn.Linear(64, 10))
    pictures = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    pictures.append(nn.LazyLinear(10))
    pictures(torch.rand(2, 1, 8, 8))
    y = torch.randint(10, (32,))
    made = ((mlp(), torch.randn(32, 8)), (tokens, torch.randint(50, (32, 4))))
    for model, x in (*made, (pictures, torch.rand(32, 1, 8, 8))):
        adam = torch.optim.Adam(model.parameters())
        assert not codes(unstuck.probe(model, (x, y), F.cross_entropy, adam, only=["start"]))
    sure = mlp()
    with torch.no_grad():
        sure[2].weight.mul_(80)
    for optimizer in (None, torch.optim.SGD(sure.parameters(), lr=0.1)):
        assert not codes(
            unstuck.probe(sure, labelled(), F.cross_entropy, optimizer, only=["start"])
        )


class Towers(nn.Module):
    """Two heads on one body, and a third that no loss hears of."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.left, self.right = mlp(8, 6), nn.Linear(6, 3), nn.Linear(6, 2)
        self.spare = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.body(x)
        return self.left(hidden), self.right(hidden.detach())


def of_towers(model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
    left, right = model(batch)
    return {"left": left.square().mean(), "right": right.square().mean()}


def test_which_term_reaches_which_part_is_what_backward_says() -> None:
    model, x = Towers(), torch.randn(4, 8)
    result = start(Subject(model, x, of_towers))
    for term in ("left", "right", "loss"):
        model.zero_grad(set_to_none=True)
        terms = of_towers(model, x)
        (terms[term] if term in terms else sum(terms.values())).backward()
        for part in ("body", "left", "right", "spare"):
            grads = [p.grad is not None for p in getattr(model, part).parameters()]
            assert result.facts[f"start/reach/{term}/{part}"] == sum(grads) / len(grads)
    spare = sum(p.numel() for p in model.spare.parameters())
    total = sum(p.numel() for p in model.parameters())
    assert result.facts["start/model/reached"] == pytest.approx(1 - spare / total)
    assert result.facts["start/model/unreached"] == "spare.weight, spare.bias"
    assert any(isinstance(p, Listing) and len(p.rows) == 12 for p in result.pictures)


def test_a_branch_that_begins_with_zeros_is_reached_though_its_gradient_is_zero() -> None:
    model = mlp()
    nn.init.zeros_(model[2].weight)
    facts = start(Subject(model, labelled(), F.cross_entropy)).facts
    first = sum(p.numel() for p in model[0].parameters())
    assert facts["start/model/reached"] == 1
    assert facts["start/model/silent"] == pytest.approx(
        first / sum(p.numel() for p in model.parameters())
    )


def test_growth_with_depth_is_the_ratio_of_the_last_layer_to_the_first() -> None:
    layers = [nn.Linear(16, 16, bias=False) for _ in range(6)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain=2.0)
    x = torch.randn(256, 16)
    loss = nn.MSELoss()
    facts = start(Subject(nn.Sequential(*layers), (x, x), loss)).facts
    assert facts["start/model/activation_growth"] == pytest.approx(2.0**5, rel=1e-4)


class Crossing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder_a, self.encoder_b = mlp(8, 4), mlp(8, 4)
        self.decoder_a, self.decoder_b = mlp(4, 8), mlp(4, 8)


def crossed(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.mse_loss(model.decoder_b(model.encoder_a(batch[0])), batch[1])


def straight(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    a, b = batch
    kept = F.mse_loss(model.decoder_a(model.encoder_a(a)), a)
    return kept + F.mse_loss(model.decoder_b(model.encoder_b(b)), b)


def lone(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.mse_loss(model.decoder_a(model.encoder_a(batch[0])), batch[0])


def both() -> tuple[Tensor, Tensor]:
    return torch.randn(8, 8), torch.randn(8, 8)


def test_a_joint_that_only_use_passes_is_found() -> None:
    found = unstuck.probe(Crossing(), both(), straight, only=["start"], at_use=crossed)
    assert found.facts["unused_path/model/share"] == 0
    assert found.facts["unused_path/model/joint"] == "encoder_a > decoder_b"
    assert codes(found) == ["SKP003"]


def test_weights_that_only_use_needs_are_counted() -> None:
    model = Crossing()
    found = unstuck.probe(model, both(), lone, only=["start"], at_use=crossed)
    sizes = [sum(p.numel() for p in m.parameters()) for m in (model.encoder_a, model.decoder_b)]
    assert found.facts["unused_path/model/share"] == pytest.approx(sizes[1] / sum(sizes))
    assert found.facts["unused_path/model/parts"] == "decoder_b"
    assert [f.severity for f in found.diagnosis.findings if f.code == "SKP003"] == ["error"]


def test_what_is_trained_frozen_or_fed_back_is_no_untrained_path() -> None:
    def drawn(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return crossed(model, batch) if torch.rand(()) < 0.5 else straight(model, batch)

    frozen = Crossing()
    frozen.decoder_b.requires_grad_(False)

    def twice(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        once = model.decoder_a(model.encoder_a(batch[0]))
        return F.mse_loss(model.decoder_a(model.encoder_a(once)), batch[0])

    for model, loss, use in (
        (Crossing(), crossed, crossed),
        (Crossing(), drawn, crossed),
        (frozen, lone, crossed),
        (Crossing(), lone, twice),
    ):
        assert not codes(unstuck.probe(model, both(), loss, only=["start"], at_use=use))


def test_awkward_subjects_are_looked_at_all_the_same() -> None:
    one = Subject(mlp(), labelled(1), F.cross_entropy)
    assert start(one).facts["start/model/reached"] == 1
    halves = mlp().to(torch.bfloat16)
    x, y = labelled()
    assert start(Subject(halves, (x.bfloat16(), y), F.cross_entropy)).facts["start/model/ratio"] > 0
    turning = nn.Sequential(
        nn.Linear(4, 4, dtype=torch.complex64), nn.Linear(4, 2, dtype=torch.complex64)
    )
    wave = torch.randn(8, 4, dtype=torch.complex64)
    facts = start(Subject(turning, wave, lambda model, z: model(z).abs().square().mean())).facts
    assert facts["start/model/reached"] == 1
    told = start(
        Subject(mlp(), {"x": x, "y": y}, lambda model, b: F.cross_entropy(model(b["x"]), b["y"]))
    )
    assert told.facts["start/model/measure"] == "cross_entropy"


def test_what_cannot_be_trained_is_told_apart() -> None:
    frozen = mlp().requires_grad_(False)
    with pytest.raises(NotProbed, match="asks for gradients"):
        start(Subject(frozen, labelled(), F.cross_entropy))
    with pytest.raises(NotProbed, match="graph was cut"):
        start(Subject(mlp(), labelled(), lambda out, y: F.cross_entropy(out.detach(), y)))


class Recomputed(nn.Module):
    """Its middle is run again in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = checkpoint(self.middle, self.first(x), use_reentrant=True)
        return self.last(hidden)


def test_layers_that_are_recomputed_are_reached() -> None:
    torch.manual_seed(0)
    batch = (torch.randn(8, 4), torch.randint(3, (8,)))
    found = performed(start, Subject(Recomputed(), batch, F.cross_entropy))
    assert found.facts["start/model/reached"] == 1.0
    assert found.facts["start/model/silent"] == 0.0
