"""A schedule that is never stepped is told from every kind of one that is."""

import gc

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as lrs
from torch.optim.swa_utils import SWALR
from torch.utils.data import DataLoader, TensorDataset, dataloader

import unstuck
from unstuck.watcher.schedule_shape import first_move, is_quiet, length, share

BATCHES, EPOCHS = 8, 5  # 40 steps
STEPS = BATCHES * EPOCHS

KINDS = {
    "steps": lambda o: lrs.StepLR(o, 2),
    "milestones": lambda o: lrs.MultiStepLR(o, [2, 4]),
    "cosine": lambda o: lrs.CosineAnnealingLR(o, STEPS),
    "exponential": lambda o: lrs.ExponentialLR(o, 0.9),
    "linear": lambda o: lrs.LinearLR(o, 0.1, total_iters=4),
    "polynomial": lambda o: lrs.PolynomialLR(o, STEPS),
    "constant at first": lambda o: lrs.ConstantLR(o, 0.5, total_iters=3),
    "one cycle": lambda o: lrs.OneCycleLR(o, 0.1, total_steps=STEPS + 1),
    "cycles": lambda o: lrs.CyclicLR(o, 0.001, 0.1, step_size_up=5, cycle_momentum=False),
    "restarts": lambda o: lrs.CosineAnnealingWarmRestarts(o, 10),
    "function": lambda o: lrs.LambdaLR(o, lambda n: 0.9**n),
    "factors": lambda o: lrs.MultiplicativeLR(o, lambda n: 0.9),
    "in sequence": lambda o: lrs.SequentialLR(
        o, [lrs.LinearLR(o, 0.1, total_iters=3), lrs.CosineAnnealingLR(o, STEPS)], milestones=[3]
    ),
    "chained": lambda o: lrs.ChainedScheduler([lrs.ConstantLR(o, 0.1), lrs.ExponentialLR(o, 0.9)]),
}


def parts():
    torch.manual_seed(0)
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return model, optimizer


def data(count=BATCHES):
    x = torch.randn(4 * count, 6)
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=4)


def step(model, optimizer, x, y):
    loss = (model(x) - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def fit(model, optimizer, *, batch=None, epoch=None, epochs=EPOCHS, loader=None):
    loader = data() if loader is None else loader
    for number in range(epochs):
        for x, y in loader:
            step(model, optimizer, x, y)
            if batch:
                batch()
        if epoch:
            epoch(number)


@pytest.fixture
def watched(tmp_path):
    """Watch a training from its first line on, and read what was recorded."""
    count = iter(range(99))

    def run(training):
        with unstuck.watch(out=tmp_path / str(next(count)), budget=None) as run:
            training()
        found = unstuck.load(run.path)
        assert not [name for name in found.facts if name.startswith("exit/")]
        return found

    return run


def findings(run):
    return [f for f in unstuck.diagnose(run).findings if f.code == "OPT016"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_that_is_never_stepped_is_found(kind, watched):
    def training():
        model, optimizer = parts()
        kept = KINDS[kind](optimizer)
        fit(model, optimizer)
        assert kept

    run = watched(training)
    assert run.facts["unstepped/optimizer"] == STEPS
    assert run.facts["unstepped/optimizer/passes"] == EPOCHS
    (found,) = findings(run)
    assert found.where == "optimizer" and f"{EPOCHS} passes" in found.message


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_was_made_before_the_watching_began_is_found_too(kind, watched):
    model, optimizer = parts()
    kept = KINDS[kind](optimizer)
    run = watched(lambda: fit(model, optimizer))
    assert run.facts["unstepped/optimizer"] == STEPS, kept
    assert len(findings(run)) == 1


@pytest.mark.parametrize("each", ["batch", "epoch"])
@pytest.mark.parametrize("made", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_stepped_is_not(kind, each, made, watched):
    def training(model, optimizer, schedule):
        if each == "batch":
            fit(model, optimizer, batch=schedule.step)
        else:
            fit(model, optimizer, epoch=lambda number: schedule.step())

    def whole():
        model, optimizer = parts()
        training(model, optimizer, KINDS[kind](optimizer))

    if made == "after":
        run = watched(whole)
    else:
        model, optimizer = parts()
        schedule = KINDS[kind](optimizer)
        run = watched(lambda: training(model, optimizer, schedule))
    assert run.facts["unstepped/optimizer"] == 0
    assert findings(run) == []


def test_restarts_counted_in_parts_of_an_epoch_are_steps(watched):
    def training():
        model, optimizer = parts()
        schedule = lrs.CosineAnnealingWarmRestarts(optimizer, 100)
        part = iter(range(STEPS))
        fit(model, optimizer, batch=lambda: schedule.step(next(part) / 1000))

    assert watched(training).facts["unstepped/optimizer"] == 0


def test_a_schedule_by_metric_is_only_mentioned_and_one_that_is_told_it_is_not(watched):
    def training(tell):
        model, optimizer = parts()
        plateau = lrs.ReduceLROnPlateau(optimizer)
        fit(model, optimizer, epoch=lambda number: plateau.step(0.5) if tell else None)

    (found,) = findings(watched(lambda: training(False)))
    assert found.severity == "info" and "ReduceLROnPlateau" in found.message
    assert watched(lambda: training(True)).facts["unstepped/optimizer"] == 0


def test_a_rate_that_would_not_have_moved_is_no_finding(watched):
    def training(make):
        model, optimizer = parts()
        kept = make(optimizer)
        fit(model, optimizer)
        assert kept

    for make in (
        lambda o: lrs.LambdaLR(o, lambda n: 1.0),
        lambda o: lrs.StepLR(o, 1000),
        lambda o: SWALR(o, swa_lr=0.01),
    ):
        assert findings(watched(lambda make=make: training(make))) == []


def test_a_warm_up_that_is_never_stepped_is_an_error(watched):
    def training():
        model, optimizer = parts()
        kept = lrs.LambdaLR(optimizer, lambda n: min(1.0, n / 10))
        fit(model, optimizer)
        assert kept

    (found,) = findings(watched(training))
    assert found.severity == "error" and found.message.endswith("the rate stays 0")


def test_each_optimizer_has_a_schedule_of_its_own(watched):
    def training():
        model, one = parts()
        other_model, other = parts()
        first, second = lrs.ExponentialLR(one, 0.9), lrs.ExponentialLR(other, 0.9)
        loader = data()
        for _ in range(EPOCHS):
            for x, y in loader:
                step(model, one, x, y)
                step(other_model, other, x, y)
            first.step()
        assert second

    run = watched(training)
    assert run.facts["unstepped/optimizer"] == 0
    assert [f.where for f in findings(run)] == ["optimizer.2"]


def test_one_that_was_replaced_is_not_waited_for(watched):
    def training():
        model, optimizer = parts()
        schedule = lrs.StepLR(optimizer, 100)
        fit(model, optimizer, epochs=1)
        schedule = lrs.StepLR(optimizer, 30)
        fit(model, optimizer, epoch=lambda number: schedule.step())

    assert findings(watched(training)) == []


def test_a_schedule_stepped_by_a_gradient_scalers_loop_or_a_subclass_counts(watched):
    class Halving(lrs.LRScheduler):
        def get_lr(self):
            return [group["lr"] * 0.5 for group in self.optimizer.param_groups]

    def training(stepped):
        model, optimizer = parts()
        schedule, scaler = Halving(optimizer), torch.amp.GradScaler("cpu", enabled=True)
        loader = data()
        for _ in range(EPOCHS):
            for x, y in loader:
                optimizer.zero_grad()
                scaler.scale((model(x) - y).square().mean()).backward()
                scaler.step(optimizer)
                scaler.update()
                if stepped:
                    schedule.step()
        assert schedule

    assert findings(watched(lambda: training(True))) == []
    assert len(findings(watched(lambda: training(False)))) == 1


def loops():
    def one_batch_of_each(loader):
        for _ in range(STEPS):
            yield next(iter(loader))

    def pieces(loader):
        for _ in range(EPOCHS):
            yield from data()  # another data set each time: shards of one epoch

    def cut_off(loader):
        for _ in range(EPOCHS):
            for _, batch in zip(range(BATCHES - 2), loader, strict=False):
                yield batch

    def judged(loader):
        held_out = data(4)
        for number, batch in enumerate(data(STEPS)):
            if number % BATCHES == 0:
                assert len(list(held_out)) == 4
            yield batch

    return {f.__name__: f for f in (one_batch_of_each, pieces, cut_off, judged)}


@pytest.mark.parametrize("name", loops())
def test_what_is_no_pass_through_the_data_is_not_counted_as_one(name, watched):
    def training():
        model, optimizer = parts()
        kept = lrs.StepLR(optimizer, 2)
        for x, y in loops()[name](data()):
            step(model, optimizer, x, y)
        assert kept

    run = watched(training)
    assert run.facts["unstepped/optimizer"] > 20
    assert run.facts.get("unstepped/optimizer/passes", 0) <= 1
    assert findings(run) == []


class Stream(torch.utils.data.IterableDataset):
    """Nobody knows its length before its end."""

    def __iter__(self):
        for _ in range(4 * BATCHES):
            x = torch.randn(6)
            yield x, x.sum(0, keepdim=True)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("kind", ["rows", "stream", "list"])
def test_passes_are_counted_whatever_the_data_are(kind, workers, watched):
    def training():
        model, optimizer = parts()
        kept = lrs.ExponentialLR(optimizer, 0.9)
        x = torch.randn(4 * BATCHES, 6)
        of_kind = {
            "rows": TensorDataset(x, x.sum(1, keepdim=True)),
            "stream": Stream(),
            "list": [(row, row.sum(0, keepdim=True)) for row in x],
        }
        loader = DataLoader(of_kind[kind], batch_size=4, num_workers=workers)
        fit(model, optimizer, loader=loader)
        assert kept

    run = watched(training)
    assert run.facts["unstepped/optimizer/passes"] == EPOCHS
    assert len(findings(run)) == 1


def by_hand(schedule, epochs, validate):
    """A loop without a DataLoader."""
    model, optimizer = parts()
    kept = schedule(optimizer)
    for _ in range(epochs):
        for _ in range(BATCHES):
            x = torch.randn(4, 6)
            step(model, optimizer, x, x.sum(1, keepdim=True))
        if validate:
            unstuck.log(val_loss=0.5)
    return kept


def test_without_a_loader_validations_or_the_end_of_the_schedule_tell(watched):
    def found(*arguments):
        return len(findings(watched(lambda: by_hand(*arguments))))

    assert found(KINDS["cosine"], EPOCHS, True) == 1  # by its validations, and its length
    assert found(KINDS["cosine"], EPOCHS, False) == 1  # by its length
    assert found(KINDS["exponential"], EPOCHS, True) == 1
    assert found(KINDS["exponential"], EPOCHS, False) == 0
    assert found(KINDS["exponential"], EPOCHS - 1, True) == 0
    assert found(lambda o: lrs.CosineAnnealingLR(o, 3 * STEPS), EPOCHS, False) == 0


def test_the_live_treatment_lets_the_rate_fall(tmp_path):
    def training(changes):
        with unstuck.watch(
            out=tmp_path / f"run{len(changes)}", budget=None, changes=changes
        ) as run:
            kept = by_hand(KINDS["cosine"], EPOCHS, True)
        assert kept
        return unstuck.load(run.path)

    from unstuck.prescribe import prescribe

    sick = training({})
    (treatment,) = [t for t in prescribe(unstuck.diagnose(sick)) if t.remedy == "step-schedule"]
    treated = training(dict(treatment.changes))
    assert treated.facts["changed/schedule/optimizer"]
    rates = treated.series["lr/optimizer"].value
    assert rates[0] == pytest.approx(0.05) and rates[-1] < 0.005
    assert findings(treated) == []


# What a schedule would do, against one that is stepped


@pytest.mark.parametrize("most", [1, 7, STEPS])
@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("in sequence", "chained")])
def test_the_first_move_is_that_of_a_schedule_that_is_stepped(kind, most):
    _, optimizer = parts()
    asked = KINDS[kind](optimizer)
    groups = [dict(group) for group in optimizer.param_groups]
    found = first_move(asked, most)
    assert [dict(group) for group in optimizer.param_groups] == groups
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(most):
        optimizer.step()
        asked.step()
        rates.append(optimizer.param_groups[0]["lr"])
    moved = (at for at, rate in enumerate(rates) if abs(rate / rates[0] - 1) > 1e-9)
    assert found == next(moved, 0)


def test_composites_are_told_by_their_parts_and_failures_are_unknown():
    _, optimizer = parts()
    assert first_move(KINDS["in sequence"](optimizer), 9) is None

    def broken(n):
        if n:
            raise RuntimeError("no such epoch")
        return 1.0

    assert first_move(lrs.LambdaLR(optimizer, broken), 9) is None


def test_length_share_and_whose_code_it_runs():
    _, optimizer = parts()
    cycle = KINDS["one cycle"](optimizer)
    assert (length(cycle), share(cycle)) == (STEPS + 1, pytest.approx(0.04))
    _, optimizer = parts()
    assert (length(KINDS["steps"](optimizer)), share(KINDS["linear"](optimizer))) == (
        0,
        pytest.approx(0.1),
    )
    assert is_quiet(cycle) and not is_quiet(KINDS["function"](optimizer))


# The training does not notice


def test_users_functions_run_only_at_the_end_and_leave_random_numbers_alone(tmp_path):
    def training():
        model, optimizer = parts()
        calls = []

        def shape(n):
            calls.append(n)
            return 1.0 - 0.001 * n - 1e-6 * float(torch.rand(()))

        kept = lrs.LambdaLR(optimizer, shape)
        fit(model, optimizer)
        assert calls == [0] and kept
        return [p.detach().clone() for p in model.parameters()]

    alone, after_alone = training(), torch.rand(3)
    with unstuck.watch(out=tmp_path / "run", budget=None):
        watched, state = training(), torch.get_rng_state()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(torch.rand(3), after_alone)
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))


def test_nothing_is_left_behind(watched):
    init, after = lrs.LRScheduler.__init__, dataloader._BaseDataLoaderIter.__next__
    model, optimizer = parts()
    schedule = KINDS["cosine"](optimizer)
    watched(lambda: fit(model, optimizer))
    assert lrs.LRScheduler.__init__ is init
    assert dataloader._BaseDataLoaderIter.__next__ is after
    holders = [o for o in gc.get_referrers(schedule) if type(o).__module__.startswith("unstuck")]
    assert not holders
