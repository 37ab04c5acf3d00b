"""What is recorded of modes, batch statistics and weights equals a slow obvious twin."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unstuck


def network(momentum=0.1):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=momentum), nn.ReLU(), nn.Dropout(0.2),
        nn.Flatten(), nn.Linear(144, 3),
    )  # fmt: skip


def train(model, steps=40, size=6, after=None, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, **options)
    for step in range(steps):
        x = torch.randn(size, 1, 8, 8)
        loss = F.cross_entropy(model(x), torch.randint(3, (size,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after is not None:
            after(model, step)


def watched(path, *args, **options):
    with unstuck.watch(out=path / "run", budget=None) as run:
        train(*args, **options)
    return unstuck.load(run.path)


def values(run, name):
    return run.series[name].value.tolist()


def judge(model, evaluating, x=None):
    model.train(not evaluating)
    with torch.no_grad():
        F.cross_entropy(model(torch.randn(16, 1, 8, 8) if x is None else x), torch.ones(16).long())
    model.train()


def test_a_model_left_in_evaluation_mode_is_seen(tmp_path):
    def forget(model, step):
        if step == 19:
            model.eval()

    run = watched(tmp_path, network(), after=forget)
    assert values(run, "mode/model/evaluation") == [0, 0, 0, 0, 0, 0, 1]
    assert run.series["mode/model/evaluation"].step[-1] == 32


def test_a_frozen_backbone_is_no_evaluation_mode(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.head = network()[:5], nn.Linear(144, 3)

        def forward(self, x):
            return self.head(self.backbone(x))

    net = Net()
    net.backbone.eval().requires_grad_(False)
    run = watched(tmp_path, net)
    assert not any(n.startswith("mode/") and any(values(run, n)) for n in run.series)


def test_an_attack_in_evaluation_mode_before_each_step_is_no_evaluation_mode(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for _ in range(20):
            x = torch.randn(6, 1, 8, 8, requires_grad=True)
            y = torch.randint(3, (6,))
            model.eval()
            attack = F.cross_entropy(model(x), y)
            attack.backward()
            model.train()
            loss = F.cross_entropy(model((x + x.grad.sign() * 0.1).detach()), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert values(unstuck.load(run.path), "mode/model/evaluation") == [0.0] * 6


@pytest.mark.parametrize("evaluating", [True, False])
def test_the_mode_of_validation_is_seen_wherever_it_falls(tmp_path, evaluating):
    def look(model, step):
        if step in (18, 37):
            judge(model, evaluating)

    run = watched(tmp_path, network(), after=look)
    assert run.series["mode/validation/training"].step.tolist() == [18, 37]
    assert values(run, "mode/validation/training") == [float(not evaluating)] * 2


def test_looks_within_training_and_samples_that_nobody_judges_do_not_count(tmp_path):
    def every_step(model, step):
        judge(model, evaluating=False)  # as a line search does

    run = watched(tmp_path, network(), after=every_step)
    assert run.series["mode/validation/training"].step.max() <= 12

    def draw(model, step):
        with torch.no_grad():
            if step == 20:
                model(torch.randn(2, 1, 8, 8)).sigmoid()

    run = watched(tmp_path / "other", network(), after=draw)
    assert "mode/validation/training" not in run.series


def test_the_gap_is_that_of_the_batch_to_the_running_statistics(tmp_path):
    torch.manual_seed(0)
    model = network(momentum=0.03)
    twin = []

    def hook(norm, args):
        x = args[0].detach().double()
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
        shift = (mean - norm.running_mean) / (norm.running_var + 1e-5).sqrt()
        ratio = 0.5 * ((variance + 1e-5) / (norm.running_var + 1e-5)).log()
        twin.append(math.sqrt((shift.square() + ratio.square()).mean()))

    model[1].register_forward_pre_hook(hook)
    run = watched(tmp_path, model)
    gap = run.series["normalisation/model.1/gap"]
    assert gap.value == pytest.approx([twin[s] for s in gap.step], rel=1e-3)
    assert set(values(run, "normalisation/model.1/samples")) == {6.0}
    assert set(values(run, "normalisation/model.1/numbers")) == {6.0 * 36}


@pytest.mark.parametrize("frozen", [True, False])
def test_statistics_that_never_change_are_seen_and_their_gap_too(tmp_path, frozen):
    model = network(momentum=0.0 if frozen else 0.1)
    run = watched(tmp_path, model)
    assert set(values(run, "mode/model/frozen")) == {float(frozen)}
    gap = values(run, "normalisation/model.1/gap")[-1]
    assert gap > 0.3 if frozen else gap < 0.3


def test_weights_and_their_decay(tmp_path):
    model = network()
    sizes = []

    def note(model, step):
        sizes.append(torch.cat([p.detach().flatten() for p in model.parameters()]).norm().item())

    run = watched(tmp_path, model, after=note, weight_decay=0.3)
    series = run.series["weight_norm/optimizer"]
    assert series.value[1:] == pytest.approx([sizes[s - 1] for s in series.step[1:]], rel=1e-3)
    assert set(values(run, "weight_decay/optimizer")) == {0.3}
    layer = run.series["weight_norm/optimizer/model.5"].value[0]
    assert 0 < layer < series.value[0]


def test_watching_changes_no_bit_and_leaves_the_switches_as_they_were(tmp_path):
    def run(path=None):
        torch.manual_seed(3)
        model = network()
        looks = {"after": lambda m, step: judge(m, step % 2 == 0) if step % 9 == 8 else None}
        if path is None:
            train(model, **looks)
        else:
            watched(path, model, **looks)
        return [*model.state_dict().values(), torch.get_rng_state()]

    switches = torch.no_grad, torch.inference_mode, torch.set_grad_enabled
    before = [(kind.__enter__, kind.__exit__) for kind in switches]
    assert all(torch.equal(a, b) for a, b in zip(run(), run(tmp_path), strict=True))
    assert [(kind.__enter__, kind.__exit__) for kind in switches] == before


@pytest.mark.parametrize("every", [5, 10])
def test_an_agent_that_acts_between_steps_is_not_judged(tmp_path, every):
    def act(model, step):
        if step % every == 0:
            with torch.no_grad():
                model(torch.randn(1, 1, 8, 8)).argmax()

    run = watched(tmp_path, network(), after=act)
    assert "mode/validation/training" not in run.series
