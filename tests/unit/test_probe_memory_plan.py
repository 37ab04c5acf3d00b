"""The memory plan against counted allocations: what a person would run out of."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from planned_models import MODELS, UNet, language, measured_peak, mlp, vit
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unstuck import Subject
from unstuck.examine import performed
from unstuck.experiment import NotProbed, Result
from unstuck.lab.allocation import moments_of, warmed_up
from unstuck.lab.allocation_growth import Growth
from unstuck.lab.allocation_ways import blocks_of, measured, sample
from unstuck.lab.sizes import bytes_of
from unstuck.probes.memory_plan import memory_plan

SIZES = (8, 16, 24)  # the plan's own where a step is quick


def planned(subject: Subject, **fields: Any) -> Result:
    for name, value in fields.items():
        setattr(subject, name, value)
    return performed(memory_plan, subject, seconds=60)


def told(result: Result, name: str) -> Any:
    return result.facts[f"memory_plan/model/{name}"]


@pytest.mark.parametrize("samples", [48, 192])
@pytest.mark.parametrize("kind", MODELS)
def test_the_plan_is_within_a_tenth_of_the_counted_peak(kind: str, samples: int) -> None:
    torch.manual_seed(0)
    plan = measured(MODELS[kind](24), SIZES)
    assert plan.peak(samples) == pytest.approx(measured_peak(MODELS[kind], samples), rel=0.1)


@pytest.mark.parametrize("kind", ["CNN", "U-net", "ViT"])
def test_the_peak_told_is_that_of_the_batch_in_use(kind: str) -> None:
    torch.manual_seed(0)
    found = planned(MODELS[kind](16))
    peak = measured_peak(MODELS[kind], 16)
    assert told(found, "peak") == pytest.approx(peak, rel=0.1)
    larger = told(found, "fixed") + 128 * told(found, "per_sample")
    assert larger == pytest.approx(measured_peak(MODELS[kind], 128), rel=0.1)


@pytest.mark.parametrize("kind", ["MLP", "CNN", "ResNet", "U-net", "ViT", "GPT-2", "GAN generator"])
def test_what_is_kept_by_layer_is_what_autograd_saves(kind: str) -> None:
    torch.manual_seed(0)
    subject = MODELS[kind](8)
    warmed_up(subject, subject.batch)
    kept = sum(moments_of(subject, subject.batch).layers.values())
    given = (*subject.model.parameters(), *subject.model.buffers(), *_held(subject.batch))
    known = {t.untyped_storage().data_ptr() for t in (*given, *_judge(subject))}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = subject.value()
    slow = sum(saved.values())
    assert loss.requires_grad
    # held by Python and not by autograd: the loss's own number, its weight, a cache of positions
    assert slow <= kept <= slow * 1.02 + 512


def _held(batch: Any) -> list[Tensor]:
    if isinstance(batch, Tensor):
        return [batch]
    return list(batch.values() if isinstance(batch, dict) else batch)


def _judge(subject: Subject) -> list[Tensor]:
    return [p for module in subject.others for p in module.parameters()]


def test_optimizer_state_is_what_the_optimizer_holds() -> None:
    for kind, copies in {"MLP": 0, "CNN": 1, "U-net": 2}.items():
        found = planned(MODELS[kind](8))
        weights = told(found, "parameters")
        assert told(found, "gradients") == weights
        assert copies * weights <= told(found, "optimizer") <= copies * weights + 4 * 100


def test_autocast_is_planned_as_it_is_then_measured() -> None:
    plan = measured(vit(24), SIZES, autocast=True)

    def half() -> Any:
        return torch.autocast("cpu", torch.bfloat16)

    assert plan.peak(96) == pytest.approx(measured_peak(vit, 96, half), rel=0.1)
    assert plan.peak(96) < 0.8 * measured(vit(24), SIZES).peak(96)


def test_checkpointing_is_planned_as_it_is_then_measured() -> None:
    def by_hand(samples: int) -> Subject:
        subject = vit(samples)
        for layer in subject.model.body.layers:
            layer.forward = _recomputing(layer.forward)
        return subject

    plan = measured(vit(24), SIZES, recompute=True)
    assert plan.peak(96) == pytest.approx(measured_peak(by_hand, 96), rel=0.1)
    assert plan.peak(96) < 0.6 * measured(vit(24), SIZES).peak(96)


def _recomputing(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: checkpoint(forward, *args, use_reentrant=False, **kwargs)


def test_a_long_plain_sequence_is_recomputed_in_about_as_many_pieces_as_each_has_layers() -> None:
    layers = [m for _ in range(18) for m in (nn.Linear(32, 32), nn.Tanh())]
    net = nn.Sequential(*layers)
    assert blocks_of(net) == [(net, 6)]
    batch = (torch.randn(24, 32), torch.randn(24, 32))
    subject = Subject(net, batch, F.mse_loss, torch.optim.SGD(net.parameters(), 0.1))
    assert measured(subject, SIZES, recompute=True).peak(4096) < 0.6 * (
        measured(subject, SIZES).peak(4096)
    )
    assert not any("forward" in vars(m) for m in net.modules())


def test_blocks_are_those_of_the_outermost_sequences() -> None:
    model = vit(2).model
    assert blocks_of(model) == [(layer, 1) for layer in model.body.layers]
    assert [type(m).__name__ for m, _ in blocks_of(language(2).model)] == ["GPT2Block"] * 3
    assert len(blocks_of(UNet())) == 5


@pytest.mark.parametrize("kind", ["CNN", "ViT"])
def test_the_largest_batch_fits_and_the_next_does_not(kind: str) -> None:
    torch.manual_seed(0)
    plan, card = measured(MODELS[kind](24), SIZES), 20e6
    largest = plan.largest(card)
    assert measured_peak(MODELS[kind], largest) <= card
    assert measured_peak(MODELS[kind], largest + 1) > card


def test_a_wanted_batch_is_cut_into_micro_batches_that_fit() -> None:
    torch.manual_seed(0)
    plan = measured(vit(24), SIZES)
    micro, times = plan.split(256, 20e6)
    assert micro * times == 256
    assert plan.peak(micro, accumulating=True) <= 20e6
    assert plan.peak(2 * micro, accumulating=True) > 20e6
    assert plan.split(4, 20e6) == (4, 1)
    assert plan.split(256, 1e5) == (0, 0)


def test_a_loss_that_compares_all_with_all_grows_with_pairs() -> None:
    def contrast(samples: int) -> Subject:
        net = nn.Linear(8, 4)

        def loss(model: nn.Module, batch: Tensor) -> Tensor:
            codes = F.normalize(model(batch), dim=1)
            return F.cross_entropy(codes @ codes.T / 0.1, torch.arange(len(batch)))

        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        return Subject(net, torch.randn(samples, 8), loss, optimizer)

    plan = measured(contrast(24), SIZES)
    assert plan.compares_all
    assert plan.peak(512) == pytest.approx(measured_peak(contrast, 512), rel=0.1)
    assert not measured(mlp(24), SIZES).compares_all


def test_operations_that_depend_on_the_batch_leave_a_plan_by_phases() -> None:
    def loop(samples: int) -> Subject:
        net = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 1))

        def loss(model: nn.Module, batch: Tensor) -> Tensor:
            return torch.stack([model(one).square().sum() for one in batch]).mean()

        return Subject(net, torch.randn(samples, 16), loss, torch.optim.Adam(net.parameters()))

    plan = measured(loop(24), SIZES)
    assert plan.peak(96) == pytest.approx(measured_peak(loop, 96), rel=0.1)


def test_the_card_decides_on_the_share_and_the_largest_batch() -> None:
    small, large = (planned(mlp(16), gpu_memory=bytes_of(card)) for card in ("2GB", "20GB"))
    assert told(small, "card") == pytest.approx(0.9 * (2e9 - 0.67e9))
    assert told(small, "share") == pytest.approx(told(small, "peak") / told(small, "card"))
    assert told(large, "largest_batch") > 10 * told(small, "largest_batch")
    assert "largest_batch" not in str(planned(mlp(16)).facts)
    none = planned(mlp(16), gpu_memory=bytes_of("500MB"))
    assert told(none, "largest_batch") == 0
    assert "Not even one sample fits" in " ".join(none.said)


def test_a_wanted_batch_is_told_as_accumulation() -> None:
    found = planned(vit(8), gpu_memory=bytes_of("0.7GB"), wanted_batch=512)
    assert "A batch of 512 fits as 8 micro-batches of 64, accumulated." in found.said


class Outputs(nn.Module):
    """Gives a dictionary, counts on two samples at least, holds half numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 3, dtype=torch.bfloat16)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.norm(self.body(x.bfloat16()).float())}


def test_awkward_subjects_are_planned_all_the_same() -> None:
    net = Outputs()

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        out = model(batch["x"])["out"]
        return {"a": out.square().mean(), "b": out.abs().mean()}

    one = Subject(net, {"x": torch.randn(1, 6), "alpha": torch.tensor(3.0)}, loss)
    assert told(planned(one), "optimizer") == 0
    assert "its state is not counted" in planned(one).said[0]
    line = nn.Linear(6, 1)
    second_order = torch.optim.LBFGS(line.parameters())
    pairs = (torch.randn(4, 6), torch.randn(4, 1))
    assert told(planned(Subject(line, pairs, F.mse_loss, second_order)), "peak") > 0
    asleep = MODELS["CNN"](8)
    asleep.model.eval()
    assert told(planned(asleep), "peak") == told(planned(MODELS["CNN"](8)), "peak")


def test_a_loss_that_knows_one_batch_size_is_planned_for_it_alone() -> None:
    net, target = nn.Linear(5, 2), torch.randn(6, 2)
    subject = Subject(net, torch.randn(6, 5), lambda model, x: F.mse_loss(model(x), target))
    found = planned(subject, gpu_memory=bytes_of("8GB"))
    assert "works on no other number of samples" in found.said[0]
    assert "memory_plan/model/largest_batch" not in found.facts
    assert told(found, "share") < 0.01


def test_what_has_no_step_to_plan_is_left_out_with_its_reason() -> None:
    frozen = mlp(4)
    frozen.model.requires_grad_(requires_grad=False)
    with pytest.raises(NotProbed, match="asks for gradients"):
        planned(frozen)
    cut = Subject(nn.Linear(2, 2), torch.randn(4, 2), lambda model, x: model(x).detach().sum())
    with pytest.raises(NotProbed, match="graph was cut"):
        planned(cut)
    broken = Subject(nn.Linear(2, 2), torch.randn(4, 3), lambda model, x: model(x).sum())
    with pytest.raises(NotProbed, match="no training step on 4 samples"):
        planned(broken)


def test_a_profiler_that_runs_already_goes_on_running() -> None:
    with torch.autograd.profiler.profile() as mine:
        planned(mlp(4))
        torch.ones(3).cumsum(0)
    assert any(event.name == "aten::cumsum" for event in mine.function_events)


def test_growth_is_read_off_at_any_batch() -> None:
    plan: Growth = measured(mlp(8), (2, 4, 6))
    assert plan.parts(100)["parameters"] == plan.parts(1)["parameters"]
    assert sum(plan.parts(64).values()) == plan.peak(64)
    assert list(plan.by_layer(64))[:2] == ["1", "3"]
    assert sample((torch.arange(3), "kept"), 5)[0].tolist() == [0, 1, 2, 0, 1]
