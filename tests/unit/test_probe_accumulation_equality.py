"""accumulation-equality names what breaks an accumulation, and nothing where it is whole."""

import pytest
import torch
import torch.nn.functional as F
from accumulation_loops import (
    FAULTS,
    HEALTHY,
    LOSS,
    another_steps,
    averaged,
    averaged_with_step,
    cleared_each_time,
    unscaled,
)
from torch import nn

from unstuck.examine import performed
from unstuck.experiment import NotProbed
from unstuck.lab.subject import Subject
from unstuck.probes.accumulation_equality import accumulation_equality

BATCH, WIDTH = 32, 12


def data(seed=1, count=BATCH):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, WIDTH, generator=generator)
    return x, torch.randint(5, (count,), generator=generator)


def network(*middle):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, 16), *middle, nn.Tanh(), nn.Linear(16, 5))


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def facts_of(subject):
    found = performed(accumulation_equality, subject).facts
    return {name.removeprefix("accumulation/model/"): value for name, value in found.items()}


def told(accumulate, model=None, loss=LOSS, optimizer=sgd, **more):
    model = network() if model is None else model
    made = optimizer(model) if optimizer is not None else None
    return facts_of(Subject(model, data(), loss, made, accumulate=accumulate(model, made), **more))


@pytest.mark.parametrize("accumulate", HEALTHY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("middle", [(), (nn.Dropout(0.5),), (nn.LayerNorm(16),)])
def test_an_accumulation_that_is_right_is_equal(accumulate, middle) -> None:
    facts = told(accumulate, network(*middle))
    assert facts["cause"] == "none" and facts["kept"] == facts["parts"] == 4
    assert facts["gap"] < 1e-4 and facts["step_gap"] < 1e-4 and facts["frozen"] == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("accumulate", FAULTS, ids=lambda f: f.__name__)
def test_each_fault_is_named(accumulate, seed) -> None:
    model = network()
    for _ in range(10 * seed):  # also somewhere on the way
        model.zero_grad()
        LOSS(model(data()[0]), data()[1]).backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.2 * p.grad
    facts = told(accumulate, model)
    assert facts["cause"] == FAULTS[accumulate] and facts["told"] is True


@pytest.mark.parametrize("accumulate", [unscaled, cleared_each_time, another_steps])
def test_faults_are_named_through_dropout_and_batch_normalisation_too(accumulate) -> None:
    model = network(nn.BatchNorm1d(16), nn.Dropout(0.3))
    assert told(accumulate, model)["cause"] == FAULTS[accumulate]


def test_the_gradient_of_a_fault_is_the_one_it_leaves() -> None:
    """The long way: micro-batches one by one, without the probe's pieces."""
    facts, model = told(cleared_each_time), network()
    x, y = data()
    right = torch.autograd.grad(LOSS(model(x), y), list(model.parameters()))
    last = torch.autograd.grad(LOSS(model(x[24:]), y[24:]) / 4, list(model.parameters()))
    size = sum(float(g.square().sum()) for g in right) ** 0.5
    gap = sum(float((a - b).square().sum()) for a, b in zip(last, right, strict=True)) ** 0.5
    along = sum(float((a * b).sum()) for a, b in zip(last, right, strict=True)) / size**2
    assert facts["gap"] == pytest.approx(gap / size, rel=1e-4)
    assert facts["ratio"] == pytest.approx(along, rel=1e-4) and facts["kept"] == 1


def test_adam_does_not_mind_a_factor_and_gradient_descent_does() -> None:
    adam = told(unscaled, optimizer=lambda m: torch.optim.Adam(m.parameters(), lr=1e-3))
    assert adam["step_ratio"] == pytest.approx(1.0, abs=0.01)
    assert told(unscaled)["step_ratio"] == pytest.approx(4.0, rel=1e-3)


def test_a_rate_of_zero_freezes_nothing() -> None:
    facts = told(averaged_with_step, optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.0))
    assert facts["cause"] == "none" and facts["frozen"] == 0


def test_as_many_micro_batches_as_the_training_has() -> None:
    def of_eight(model, optimizer):
        def accumulate(model, micro_batches):
            for x, y in micro_batches:
                (LOSS(model(x), y) / 8).backward()

        return accumulate

    facts = told(of_eight, micro_batches=8)
    assert (facts["cause"], facts["parts"], facts["size"]) == ("none", 8, 4)
    assert told(of_eight)["cause"] == "scaled as a whole"  # no fault that anyone is told of


# What makes the two differ in the model itself ------------------------------------------


def of_counted(model, batch):
    """A mean over what is marked: not equally many in each micro-batch."""
    x, y = batch
    marked = (y != 0).float()
    return (LOSS(model(x), y, reduction="none") * marked).sum() / marked.sum().clamp_min(1)


def contrastive(model, batch):
    out = F.normalize(model(batch[0]), dim=1)
    return F.cross_entropy(
        out @ F.normalize(batch[0][:, :5], dim=1).T / 0.2, torch.arange(len(out))
    )


def summed(prediction, target):
    return LOSS(prediction, target, reduction="sum")


def standardised(model, batch):
    out = model(batch[0])
    return LOSS((out - out.mean(0)) / out.std(0), batch[1])


@pytest.mark.parametrize(
    ("loss", "middle", "cause"),
    [
        (LOSS, (), "none"),
        (LOSS, (nn.BatchNorm1d(16),), "batch-dependent normalisation"),
        (LOSS, (nn.BatchNorm1d(16, track_running_stats=False),), "batch-dependent normalisation"),
        (LOSS, (nn.GroupNorm(2, 16), nn.Dropout(0.5)), "none"),
        (summed, (), "sum over samples"),
        (of_counted, (), "unequal micro-batches"),
        (contrastive, (), "coupled samples"),
        (standardised, (), "coupled samples"),
        (contrastive, (nn.BatchNorm1d(16),), "coupled samples"),
    ],
)
def test_what_in_a_model_makes_accumulation_differ(loss, middle, cause) -> None:
    model = network(*middle)
    facts = facts_of(Subject(model, data(), loss, sgd(model)))
    assert facts["cause"] == cause and "told" not in facts
    assert (facts["gap"] < 1e-4) == (cause == "none")


def test_a_state_that_each_pass_changes_is_no_coupling_of_samples() -> None:
    class Running(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("size", torch.ones(()))

        def forward(self, x):
            self.size.mul_(0.5)
            return x * self.size

    assert (
        facts_of(Subject(network(Running()), data(), LOSS))["cause"] == "state that passes change"
    )


def test_averaging_what_is_not_equally_many_is_named_and_summing_is_right() -> None:
    def by_len(model, optimizer):
        def accumulate(model, micro_batches):
            for batch in micro_batches:
                (of_counted(model, batch) / len(micro_batches)).backward()

        return accumulate

    def by_count(model, optimizer):
        def accumulate(model, micro_batches):
            total = sum((y != 0).sum() for _, y in micro_batches)
            for x, y in micro_batches:
                each = LOSS(model(x), y, reduction="none") * (y != 0)
                (each.sum() / total).backward()

        return accumulate

    assert told(by_len, loss=of_counted)["cause"] == "unequal micro-batches"
    right = told(by_count, loss=of_counted)
    assert right["gap"] < 1e-4 and right["frozen"] == 0


def test_frozen_batch_normalisation_is_no_difference() -> None:
    model = network(nn.BatchNorm1d(16))
    model[1].eval()
    assert facts_of(Subject(model, data(), LOSS))["cause"] == "none"


# Awkward subjects -----------------------------------------------------------------------


def test_one_sample_needs_further_batches() -> None:
    one = [data(seed, 1) for seed in range(6)]
    model = network()
    with pytest.raises(NotProbed, match="batches="):
        performed(accumulation_equality, Subject(model, one[0], LOSS))
    assert facts_of(Subject(model, one[0], LOSS, batches=one))["cause"] == "none"


def test_time_first_is_asked_about_and_not_cut() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read, self.out = nn.GRU(4, 8), nn.Linear(8, 5)

        def forward(self, x):
            return self.out(self.read(x)[0][-1])

    batch = torch.randn(10, 32, 4), torch.randint(5, (32,))
    with pytest.raises(NotProbed, match="samples first"):
        performed(accumulation_equality, Subject(Reader(), batch, LOSS))


def test_tokens_terms_half_precision_and_a_dictionary() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Embedding(20, 8, sparse=True), nn.Flatten(), nn.Linear(48, 4)
    ).bfloat16()

    def loss(model, batch):
        out = model(batch["tokens"]).float()
        return {"fit": LOSS(out, batch["y"]), "small": 0.01 * out.square().mean()}

    batch = {"tokens": torch.randint(20, (30, 6)), "y": torch.randint(4, (30,)), "split": "train"}
    facts = facts_of(Subject(model, batch, loss))
    assert facts["cause"] == "none" and facts["parts"] == 4 and facts["size"] == 7


def test_random_numbers_in_the_loss_are_no_fault_and_hide_none_that_counts() -> None:
    def noisy(model, batch):
        x, y = batch
        return LOSS(model(x + 0.5 * torch.randn_like(x)), y)

    def own(model, optimizer):
        def accumulate(model, micro_batches):
            for batch in micro_batches:
                (noisy(model, batch) / len(micro_batches)).backward()

        return accumulate

    assert facts_of(Subject(network(), data(), noisy))["cause"] == "none"
    assert told(own, loss=noisy)["cause"] == "none"


def test_an_accumulation_that_fails_is_told_in_one_line() -> None:
    def broken(model, optimizer):
        return lambda model, micro_batches: micro_batches.inputs

    with pytest.raises(NotProbed, match="accumulate"):
        told(broken)


def test_the_other_optimizer_is_put_back_too() -> None:
    model, other = network(), nn.Linear(2, 2)
    theirs = torch.optim.Adam(other.parameters())

    def accumulate(model, micro_batches):
        averaged(model, None)(model, micro_batches)
        other(torch.ones(1, 2)).sum().backward()
        theirs.step()

    before = [p.detach().clone() for p in other.parameters()]
    facts_of(Subject(model, data(), LOSS, sgd(model), accumulate=accumulate))
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))
    assert not theirs.state and all(p.grad is None for p in other.parameters())
