"""Determinism: the kinds of cause told apart on models that are sick in each way."""

import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unstuck import Subject
from unstuck.examine import performed
from unstuck.experiment import NotProbed
from unstuck.lab.generators import generators
from unstuck.lab.operations import Recorder, digest, first_difference
from unstuck.lab.operations_repeated import once
from unstuck.probes.determinism import determinism

Facts = dict[str, Any]


def examined(subject: Subject) -> tuple[Facts, str]:
    result = performed(determinism, subject, seconds=60)
    facts = {name.rsplit("/", 1)[-1]: value for name, value in result.facts.items()}
    return facts, " ".join(result.said)


class Net(nn.Module):
    """A layer, something sick, a layer."""

    def __init__(self, sick: Callable[["Net", Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.sick = nn.Linear(6, 8), nn.Linear(8, 2), sick
        self.dropout = nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.dropout(self.sick(self, torch.tanh(self.first(x)))))


def subject_of(sick: Callable[[Net, Tensor], Tensor], **fields: Any) -> Subject:
    net = Net(sick)
    batch = (torch.randn(16, 6), torch.randn(16, 2))
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    return Subject(net, batch, F.mse_loss, adam, **fields)


def healthy(net: Net, h: Tensor) -> Tensor:
    return h + 0.1 * torch.randn_like(h)


def test_a_step_whose_noise_is_torchs_own_repeats() -> None:
    facts, said = examined(subject_of(healthy))
    assert facts == {"same": True, "seeds": "", "resumes": True}
    assert "are the same, bit by bit" in said


def test_a_generator_of_its_own_is_found_where_the_model_holds_it() -> None:
    made: dict[str, tuple[Any, Callable[[Any], float]]] = {
        "numpy": (np.random.default_rng(), lambda g: g.normal()),
        "legacy": (np.random.RandomState(), lambda g: g.normal()),
        "python": (random.Random(), lambda g: g.random()),
        "torch": (torch.Generator(), lambda g: float(torch.rand((), generator=g))),
    }
    for kind, (generator, draw) in made.items():
        subject = subject_of(lambda net, h, draw=draw: h * (1.0 + draw(net.noise)))
        subject.model.noise = generator
        facts, said = examined(subject)
        assert (facts["same"], facts["cause"]) == (False, "generator"), kind
        assert "model.noise is a generator of its own" in said
        assert facts["module"] == "model"
        assert facts["difference"] > 1e-4


def test_a_generator_that_the_loss_holds_is_found_too() -> None:
    noise = np.random.default_rng()

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return F.mse_loss(model(batch[0]), batch[1]) * float(noise.uniform(0.5, 1.5))

    subject = subject_of(healthy)
    subject.loss = loss
    facts, said = examined(subject)
    assert facts["cause"] == "generator"
    assert "the loss's noise" in said
    assert facts["module"] == "the loss"


@pytest.mark.parametrize(
    "value",
    [
        lambda: time.perf_counter() % 1.0,
        lambda: os.urandom(1)[0] / 256 + time.perf_counter() * 1e-9,
        lambda: next(COUNTER),
    ],
    ids=["clock", "urandom", "counter"],
)
def test_a_value_from_outside_torch_is_named_as_such(value: Callable[[], float]) -> None:
    facts, said = examined(subject_of(lambda net, h: h * (1.0 + float(value()))))
    assert (facts["same"], facts["cause"], facts["first_op"]) == (False, "outside", "mul")
    assert facts["module"] == "model"
    assert "from outside torch" in said


def _counted() -> Iterator[float]:
    value = 0.0
    while True:
        value += 0.25
        yield value


COUNTER = _counted()


def test_a_seed_taken_from_the_clock_is_no_seed() -> None:
    def reseeded(net: Net, h: Tensor) -> Tensor:
        torch.manual_seed(time.perf_counter_ns() % 2**31)
        return h + torch.randn_like(h)

    facts, _ = examined(subject_of(reseeded))
    assert (facts["same"], facts["cause"], facts["first_op"]) == (False, "generator", "randn_like")


def test_another_course_is_told_from_other_numbers() -> None:
    facts, said = examined(
        subject_of(lambda net, h: h.relu() if int(next(COUNTER) * 4) % 2 else h.sigmoid())
    )
    assert facts["cause"] == "course"
    assert "one computed" in said


@pytest.mark.parametrize("kind", ["empty", "empty_like", "new_empty"])
def test_memory_that_nobody_has_written_is_caught_whatever_it_held(kind: str) -> None:
    def unwritten(net: Net, h: Tensor) -> Tensor:
        made = {
            "empty": lambda: torch.empty(h.shape),
            "empty_like": lambda: torch.empty_like(h),
            "new_empty": lambda: h.new_empty(h.shape),
        }[kind]()
        made[:, :4] = h.detach()[:, :4]  # the rest is forgotten
        return h + made.nan_to_num(0.0, 0.0, 0.0).clamp(-9, 9)

    facts, said = examined(subject_of(unwritten))
    assert (facts["same"], facts["cause"]) == (False, "uninitialised")
    assert "torch.empty" in said
    assert (facts["first_op"], facts["module"]) == ("nan_to_num", "model")


def test_memory_that_is_written_before_it_is_read_is_no_finding() -> None:
    def written(net: Net, h: Tensor) -> Tensor:
        made = torch.empty_like(h)
        made.copy_(h)
        return made

    assert examined(subject_of(written))[0]["same"] is True


class Picks(nn.Module):
    """Rows picked again and again: their gradients are added up by several threads at once."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Linear(4, 16)
        self.rows = torch.randint(8, (200_000,))

    def forward(self, x: Tensor) -> Tensor:
        return self.table(x)[self.rows].square()


def test_a_kernel_whose_threads_race_is_named_with_its_layer_and_the_way_out() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        batch = torch.randn(8, 4)
        subject = Subject(Picks(), batch, lambda model, x: (model(x) * WEIGHTS).sum())
        facts, said = examined(subject)
    finally:
        torch.set_num_threads(threads)
    assert (facts["same"], facts["cause"]) == (False, "kernel")
    assert facts["first_op"] in {"index_put", "_index_put_impl_", "index_put_"}
    assert facts["module"] == "model"
    assert 0 < facts["difference"] < 1e-2
    assert "the gradient of model" in said
    assert "torch.use_deterministic_algorithms(True) makes the steps the same" in said


WEIGHTS = torch.randn(200_000, 16, generator=torch.Generator().manual_seed(1))


def test_what_survives_a_step_outside_of_the_state_dicts_breaks_resuming() -> None:
    def counting(net: Net, h: Tensor) -> Tensor:
        net.count = getattr(net, "count", 0) + 1
        return h / net.count

    facts, said = examined(subject_of(counting))
    assert facts["same"] is True, "from one state the steps agree"
    assert facts["resumes"] is False
    assert (facts["first_op"], facts["module"]) == ("div", "model")
    assert "loading the state dicts differs" in said


def test_a_cache_in_a_buffer_that_is_not_saved_breaks_resuming_and_a_saved_one_does_not() -> None:
    def remembering(net: Net, h: Tensor) -> Tensor:
        net.mean.mul_(0.9).add_(h.detach().mean(), alpha=0.1)
        return h - net.mean

    for saved in (False, True):
        subject = subject_of(remembering)
        subject.model.register_buffer("mean", torch.zeros(()), persistent=saved)
        assert examined(subject)[0]["resumes"] is saved


def test_global_generators_that_must_be_seeded_are_named() -> None:
    facts, said = examined(subject_of(lambda net, h: h * random.random() + np.random.rand()))
    assert facts["same"] is True
    assert facts["seeds"] == "python, numpy"
    assert "which torch.manual_seed does not seed" in said


class Shuffled:
    """Batches in an order of its own."""

    def __init__(self, data: list[Tensor], seeded: bool) -> None:
        self.data, self.order = data, random if seeded else random.Random()

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.order.sample(self.data, len(self.data)))


@pytest.mark.parametrize("seeded", [True, False])
def test_data_in_another_order_are_noticed(seeded: bool) -> None:
    data = [torch.full((2,), float(i)) for i in range(60)]
    facts, said = examined(subject_of(healthy, batches=Shuffled(data, seeded)))
    assert facts["data_same"] is seeded
    assert ("The data are others the second time" in said) is not seeded


def test_an_operation_that_deterministic_algorithms_refuse_is_named() -> None:
    def loss(model: nn.Module, batch: Any) -> Tensor:
        out = F.max_unpool1d(*F.max_pool1d(model(batch[0])[:, None], 2, return_indices=True), 2)
        return out.square().mean()

    subject = subject_of(healthy)
    subject.loss = loss
    facts, said = examined(subject)
    assert facts["same"] is True
    assert "max_unpool" in facts["refused"].lower() or "max_unpooling" in facts["refused"].lower()
    assert "refuses" in said
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_first_difference_is_that_of_a_slow_walk_over_kept_tensors() -> None:
    """Every tensor kept and compared, instead of digests."""
    subject = subject_of(lambda net, h: h + torch.full_like(h, next(COUNTER)).cos())

    def walk() -> list[tuple[str, Tensor]]:
        kept: list[tuple[str, Tensor]] = []

        class Keep(torch.utils._python_dispatch.TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                out = func(*args, **(kwargs or {}))
                if isinstance(out, Tensor):
                    kept.append((func.overloadpacket.__name__, out.detach().clone()))
                return out

        torch.manual_seed(0)
        with Keep():
            subject.value().backward()
        return kept

    pairs = zip(walk(), walk(), strict=True)
    slow = next(name for (name, a), (_, b) in pairs if not torch.equal(a, b))
    assert examined(subject)[0]["first_op"] == slow == "full_like"


def test_digests_tell_any_bit_apart() -> None:
    x = torch.randn(50)
    y = x.clone()
    y[7] = torch.nextafter(y[7], torch.tensor(9.0))
    nan = torch.tensor([float("nan")])
    assert digest(x) == digest(x.clone()) != digest(y)
    assert digest(torch.zeros(2, 3)) != digest(torch.zeros(3, 2)) != digest(torch.zeros(6))
    assert digest(nan) == digest(nan.clone())
    assert digest(torch.zeros(2)) != digest(-torch.zeros(2))
    for dtype in (torch.bfloat16, torch.complex64, torch.bool, torch.int8):
        assert digest(torch.ones(3, dtype=dtype)) != digest(torch.zeros(3, dtype=dtype))
    sparse = torch.eye(3).to_sparse()
    assert (
        digest(sparse) == digest(torch.eye(3).to_sparse()) != digest((2 * torch.eye(3)).to_sparse())
    )


def test_operations_of_the_backward_pass_know_their_layer() -> None:
    subject = subject_of(healthy)
    steps = once(subject, keeps=True).operations
    behind = [o.layer for o in steps if not o.forward and o.name == "mm"]
    assert behind[:2] == ["second", "second"]
    assert behind[-1] == "first"
    assert first_difference(steps, once(subject, keeps=True).operations) is None
    assert not Recorder(subject.model, "model").operations


def test_its_own_generators_are_as_they_were_afterwards() -> None:
    subject = subject_of(lambda net, h: h * (1.0 + net.noise.normal()))
    subject.model.noise = np.random.default_rng(3)
    before = subject.model.noise.bit_generator.state
    examined(subject)
    assert subject.model.noise.bit_generator.state == before
    assert list(generators(subject)) == ["model.noise"]


def test_awkward_subjects_are_told_of_all_the_same() -> None:
    def writes(model: nn.Module, batch: Tensor) -> Tensor:
        return model(batch.mul_(1.1)).square().mean()

    spoilt = torch.randn(4, 6)
    before = spoilt.clone()
    assert examined(Subject(nn.Linear(6, 2), spoilt, writes))[0]["same"] is True
    assert torch.equal(spoilt, before), "a batch written into is the probe's own copy"
    tokens = nn.Sequential(nn.Embedding(9, 4, sparse=True), nn.Flatten(), nn.Linear(12, 2))
    batch = (torch.randint(9, (5, 3)), torch.randint(2, (5,)))
    sparse = torch.optim.SGD(tokens.parameters(), 0.1)
    assert examined(Subject(tokens, batch, F.cross_entropy, sparse))[0]["same"] is True
    frozen = nn.Linear(2, 2).requires_grad_(requires_grad=False)
    with pytest.raises(NotProbed, match="asks for gradients"):
        examined(Subject(frozen, torch.randn(2, 2), lambda model, x: model(x).sum()))
    with pytest.raises(NotProbed, match="graph was cut"):
        examined(
            Subject(nn.Linear(2, 2), torch.randn(2, 2), lambda model, x: model(x).detach().sum())
        )
