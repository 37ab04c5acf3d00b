"""Trials of watched runs: live changes reach them, findings and metrics come out of them."""

import textwrap

import pytest

from unstuck.load import load_all
from unstuck.trials import run_spec
from unstuck.trials.budget import Resources
from unstuck.trials.command_line import plan_of
from unstuck.trials.conduct import run_plan

pytest.importorskip("torch")

SCRIPT = """
    import sys
    import torch
    from torch import nn
    from torch.nn import functional as F

    rate, seed = float(sys.argv[1]), int(sys.argv[2])
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    x = torch.randn(256, 8)
    y = x.sum(1, keepdim=True).sin()
    for step in range(60):
        i = torch.randint(0, 256, (32,))
        optimizer.zero_grad()
        fit = F.mse_loss(net(x[i]), y[i])
        decay = sum(p.square().sum() for p in net.parameters())
        loss = fit + 0.1 * decay
        loss.backward()
        optimizer.step()
"""

SPEC = """
[trial]
command = "python fit.py {lr} {seed}"
metric = "loss"
seeds = 2
finding = "NUM001"

[baseline]
lr = 50.0

[treatments.lower]
"lr/optimizer" = "x0.001"

[treatments.misspelt]
"weight/loss/dekay" = 0.0

[treatments.nobody]
"clip/opt" = 1.0
"""


def test_live_changes_of_an_unchanged_script_and_the_finding_they_remove(tmp_path, monkeypatch):
    (tmp_path / "fit.py").write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "spec.toml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    result = run_spec("spec.toml", out="trial", resources=Resources(workers=2), progress=False)
    runs = {(o.arm, o.seed): o for o in result.outcomes}
    for seed in (0, 1):
        assert "NUM001" in runs["baseline", seed].codes
        assert runs["baseline", seed].error == "loss is nan"
        assert "NUM001" not in runs["lower", seed].codes
        assert 0 < runs["lower", seed].metrics["loss"] < 2
        error = runs["misspelt", seed].error
        assert error.startswith("not carried out: no weight/loss/dekay in the run (it has: ")
        assert "weight/loss/decay, weight/loss/fit" in error
        assert "no clip/opt in the run (it has: clip/optimizer)" in runs["nobody", seed].error
    lower, misspelt, _ = result.verdicts
    assert (lower.had_finding, lower.lost_finding) == (2, 2)
    assert (misspelt.had_finding, misspelt.lost_finding) == (2, 0)
    assert "baseline failed in 2 of 2 runs (loss is nan)" in lower.note


FUNCTION = """
    import torch
    import unstuck
    from torch import nn

    def train(recipe, seed):
        net = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        x = torch.randn(64, 4)
        for step in range(20):
            error = (net(x) - x.sum(1, keepdim=True)).square().mean()
            start = error.item() if step == 0 else start
            wide = net.weight.square().sum()
            loss = error + recipe["width"] * wide
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            unstuck.log(val_error=error.item())
        return {"start": start}
"""

LIVE = """
[trial]
train = "subject:train"
metric = "error"
higher_is_better = false
seeds = 2
[baseline]
width = 5.0
[treatments.by-recipe]
width = 0.5
[treatments.by-live-change]
"weight/loss/wide" = "x0.1"
"""


def test_a_live_weight_does_what_the_recipe_would_and_the_metric_may_be_logged(tmp_path):
    (tmp_path / "subject.py").write_text(textwrap.dedent(FUNCTION))
    (tmp_path / "spec.toml").write_text(LIVE)
    result = run_spec(
        tmp_path / "spec.toml", out=tmp_path / "t", resources=Resources(workers=2), progress=False
    )
    errors = {(o.arm, o.seed): o.metrics["error"] for o in result.outcomes}
    starts = {(o.arm, o.seed): o.metrics["start"] for o in result.outcomes}
    for seed in (0, 1):
        assert errors["by-live-change", seed] == pytest.approx(errors["by-recipe", seed], rel=1e-4)
        assert errors["by-recipe", seed] < 0.8 * errors["baseline", seed]
        assert starts["by-recipe", seed] == starts["baseline", seed]  # seeded by the worker
    assert starts["baseline", 0] != starts["baseline", 1]
    assert all(v.effect > 0 for v in result.verdicts)


UNSEEDED = """
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    net = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    x = torch.randn(256, 8)
    y = x.sum(1, keepdim=True)
    for step in range(40):
        fit = F.mse_loss(net(x), y)
        decay = net.weight.square().sum()
        loss = fit + 0.5 * decay
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


def test_a_script_without_a_seed_makes_pairs_and_is_judged_by_the_loss_it_wrote(
    tmp_path, monkeypatch
):
    (tmp_path / "fit.py").write_text(textwrap.dedent(UNSEEDED))
    monkeypatch.chdir(tmp_path)
    change = "weight/loss/decay=0"
    plan, subject = plan_of(["fit.py"], "loss", 2, changes=[change])
    result = run_plan(plan, subject, out="t", resources=Resources(2), progress=False)
    losses = {(o.arm, o.seed): o.metrics["loss"] for o in result.outcomes}
    assert losses["baseline", 0] != losses["baseline", 1]
    for seed in (0, 1):
        (run,) = load_all(tmp_path / f"t/arms/1-weight-loss-decay-0/seed-{seed}/run")
        (before,) = load_all(tmp_path / f"t/arms/0-baseline/seed-{seed}/run")
        as_written = run.series["objective/loss"].value
        assert losses[change, seed] == pytest.approx(as_written[-2:].mean())
        assert run.series["loss/loss"].value[-1] < 0.1 * as_written[-1]  # without its decay
        assert as_written[0] == before.series["loss/loss"].value[0]  # the same weights and data
    assert all(v.effect < 0 for v in result.verdicts)  # what was written is larger without decay
