"""What is read of layers, optimizers and latents, against the slow obvious way."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unstuck
from unstuck.watcher.clock import Clock
from unstuck.watcher.schedule import looks_at_layers, looks_at_terms


def watched(loop, tmp_path, **options):
    with unstuck.watch(out=tmp_path / "run", budget=None, **options) as run:
        loop()
    return unstuck.load(run.path)


def train(model, steps=3, make=None, lr=0.1, parameters=None):
    """SGD on the mean square of the model's output; returns input, gradients, step of step 0."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(parameters or model.parameters(), lr=lr)
    first = {}
    for step in range(steps):
        x = make() if make else torch.randn(8, 4)
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            first["x"] = x
            first["before"] = {n: p.detach().clone() for n, p in model.named_parameters()}
            first["grad"] = {
                n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None
            }
        optimizer.step()
        if step == 0:
            first["after"] = {n: p.detach().clone() for n, p in model.named_parameters()}
    return first


def value(run, name, step=0):
    series = run.series[name]
    return series.value[series.step == step][0]


def test_norms_and_activations_equal_the_slow_obvious_way(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    held = {}
    run = watched(lambda: held.update(train(model)), tmp_path)
    squares = {n: float(g.square().sum()) for n, g in held["grad"].items()}
    assert value(run, "grad_norm/optimizer") == pytest.approx(math.sqrt(sum(squares.values())))
    layer = math.sqrt(squares["0.weight"] + squares["0.bias"])
    assert value(run, "grad_norm/optimizer/model.0") == pytest.approx(layer, rel=1e-5)
    moved = sum(
        float((held["after"][n] - held["before"][n]).square().sum()) for n in held["before"]
    )
    size = sum(float(p.square().sum()) for p in held["before"].values())
    ratio = math.sqrt(moved / size)
    assert value(run, "update_ratio/optimizer") == pytest.approx(ratio, rel=1e-4)
    hidden = F.linear(held["x"], held["before"]["0.weight"], held["before"]["0.bias"])
    assert value(run, "activation/model.0/std") == pytest.approx(
        float(hidden.std(correction=0)), rel=1e-5
    )
    assert value(run, "activation/model.input/mean") == pytest.approx(
        float(held["x"].mean()), rel=1e-5
    )
    assert value(run, "gradient_reach/optimizer") == 1.0
    assert run.facts["parameters/model"] == 4 * 6 + 6 + 6 * 2 + 2
    assert run.facts["optimizer/optimizer"] == "SGD"


def test_dead_units_are_counted_with_functional_activations_too(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 10), nn.Linear(10, 1)
            with torch.no_grad():
                self.first.bias[:7] = -100.0

        def forward(self, x):
            return self.second(F.relu(self.first(x)))

    net = Net()
    run = watched(lambda: train(net, lr=1e-3), tmp_path)
    assert value(run, "activation/model.first/dead_fraction") == pytest.approx(0.7, abs=0.01)
    assert value(run, "activation/model.second/dead_fraction") == 0.0


def test_reach_counts_tensors_without_gradient(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x):
            return self.used(x)

    net = Net()
    run = watched(lambda: train(net), tmp_path)
    assert value(run, "gradient_reach/optimizer") == 0.5


def test_orphans_are_counted_and_named(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    run = watched(lambda: train(model, parameters=list(model[0].parameters())), tmp_path)
    assert run.series["orphaned/model"].value[-1] == pytest.approx(5 / 25)
    assert run.facts["orphaned/model/layers"] == "1"


def test_latent_spread_is_over_the_batch_at_fixed_position(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Conv2d(1, 3, 3, padding=1)
            self.head = nn.Conv2d(3, 1, 1)

        def forward(self, x):
            return self.head(self.encoder(x))

    same = torch.randn(1, 1, 6, 6).expand(4, 1, 6, 6)  # varies in space, not over the batch
    run = watched(lambda: train(Net(), make=lambda: same), tmp_path)
    assert value(run, "latent/model.encoder/batch_std") == pytest.approx(0.0, abs=1e-6)
    assert value(run, "latent/model.encoder/rms") > 0.1
    (tmp_path / "run").rename(tmp_path / "other")
    torch.manual_seed(0)
    net = Net()
    with torch.no_grad():
        net.encoder.weight.zero_()
        net.encoder.weight[0, 0, 1, 1] = 1.0
        net.encoder.bias.zero_()
    x = torch.randn(4, 1, 6, 6)
    run = watched(lambda: train(net, make=lambda: x), tmp_path)
    slow = sum(float(x[:, 0, i, j].std(correction=0)) for i in range(6) for j in range(6)) / 36 / 3
    assert value(run, "latent/model.encoder/batch_std") == pytest.approx(slow, rel=1e-5)


def test_pull_tells_the_term_that_shrinks_a_latent(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.head = nn.Linear(4, 5), nn.Linear(5, 4)

    def loop():
        torch.manual_seed(0)
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
        for _ in range(3):
            x = torch.randn(16, 4)
            z = net.encoder(x)
            shrink = z.square().mean()
            stretch = -z.std(dim=0).mean()
            loss = shrink + stretch + 0 * net.head(z).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    run = watched(loop, tmp_path)
    assert value(run, "latent/net.encoder/pull/loss:shrink", 1) > 0.5
    assert value(run, "latent/net.encoder/pull/loss:stretch", 1) < -0.5


def test_validation_losses_nobody_logged(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    held = []

    def loop():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        criterion = nn.CrossEntropyLoss()
        for _ in range(3):
            for _ in range(4):
                loss = criterion(model(torch.randn(8, 4)), torch.randint(3, (8,)))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                parts = [(torch.randn(n, 4), torch.randint(3, (n,))) for n in (8, 2)]
                values = [float(criterion(model(x), y)) * len(x) for x, y in parts]
            held.append(sum(values) / 10)
            model.train()

    run = watched(loop, tmp_path)
    series = run.series["metric/val/cross_entropy"]
    assert series.value.tolist() == pytest.approx(held, rel=1e-5)
    assert series.step.tolist() == [3, 7, 11]


def test_logged_metrics_and_notes(tmp_path):
    def loop():
        unstuck.log(val_psnr=20.0, psnr=21.0)
        unstuck.note({"reliance/same/skips": 3.0})
        train(nn.Linear(4, 1))
        unstuck.log(val_psnr=25.0)

    run = watched(loop, tmp_path)
    assert run.series["metric/val/psnr"].value.tolist() == [20.0, 25.0]
    assert run.facts["reliance/same/skips"] == 3.0
    unstuck.log(val_psnr=1.0)  # nothing is watched any more: nothing happens


def test_models_given_by_name_are_the_ones_watched(tmp_path):
    nets = {"G": nn.Linear(4, 4), "D": nn.Linear(4, 1)}
    optimizer = torch.optim.Adam([p for n in nets.values() for p in n.parameters()])

    def loop():
        for _ in range(3):
            loss = nets["D"](nets["G"](torch.randn(2, 4))).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    run = watched(loop, tmp_path, models=nets, optimizers={"both": optimizer})
    assert {"activation/G/std", "activation/D/std", "grad_norm/both/G"} <= run.series.keys()
    assert run.facts["parameters/G"] == 20


def test_clock_counts_games_accumulation_and_closures():
    clock = Clock()

    def steps(*events):
        seen = []
        for kind, name in events:
            if kind == "b":
                clock.backward(name)
            else:
                clock.stepped(name)
            seen.append(clock.step)
        return seen

    game = (("b", "d"), ("s", 1), ("b", "g"), ("s", 2))
    assert steps(*game, *game) == [0, 0, 0, 0, 1, 1, 1, 1]
    accumulated = (("b", "d"), ("b", "d"), ("b", "d"), ("s", 1))
    assert steps(*accumulated, *accumulated) == [2, 2, 2, 2, 3, 3, 3, 3]
    changing_names = (("b", "x"), ("s", 1), ("b", "y"), ("s", 1))
    assert steps(*changing_names)[-1] == 5


def test_schedule_is_dense_first_and_thins_without_end():
    looks = [s for s in range(1_000_000) if looks_at_layers(s)]
    assert looks[:5] == [0, 1, 2, 3, 4]
    assert len(looks) < 2400
    assert all(looks_at_layers(s) for s in range(200_000) if looks_at_terms(s))


def test_the_scale_of_mixed_precision_is_read_and_a_step_left_out_is_a_step(tmp_path):
    scales = []

    def loop():
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for step in range(6):
            loss = model(torch.randn(8, 4)).square().mean() * (torch.inf if step == 3 else 1.0)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            scales.append(scaler.get_scale())

    run = watched(loop, tmp_path)
    assert run.series["loss_scale/scaler"].value.tolist() == scales == [1024.0] * 3 + [512.0] * 3
    assert run.series["loss/loss"].step.tolist() == list(range(6))
    assert np.isinf(run.series["loss/loss"].value).tolist() == [False] * 3 + [True] + [False] * 2
