"""Loops written with the real Accelerate, watched by its tracker and by the hooks alone."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import unstuck

accelerate = pytest.importorskip("accelerate")
from unstuck.integrations.accelerate import UnstuckTracker  # noqa: E402


@pytest.fixture(autouse=True)
def no_state_is_left():
    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


def train(trackers=(), micro_batches=1, fails_at=-1, config=None, **options):
    torch.manual_seed(0)
    accelerator = accelerate.Accelerator(
        cpu=True,
        gradient_accumulation_steps=micro_batches,
        log_with=list(trackers) or None,
        **options,
    )
    net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
    adam = torch.optim.AdamW(net.parameters(), 1e-2)
    x = torch.randn(128, 10)
    data = DataLoader(TensorDataset(x, x[:, :3].argmax(1)), 16, shuffle=True)
    net, adam, data = accelerator.prepare(net, adam, data)
    accelerator.init_trackers("project", config=config)
    made = []
    for epoch in range(3):
        for inputs, labels in data:
            with accelerator.accumulate(net):
                fit = F.cross_entropy(net(inputs), labels)
                decay = sum(p.square().sum() for p in net.parameters())
                total = fit + 1e-3 * decay
                if len(made) == fails_at:
                    raise ValueError("lost")
                made.append(float(total.detach()))
                accelerator.backward(total)
                accelerator.clip_grad_norm_(net.parameters(), 1.0)
                adam.step()
                adam.zero_grad()
        accelerator.log({"val_accuracy": 0.5 + 0.1 * epoch, "epoch": epoch, "note": "text"})
    accelerator.end_training()
    return [*net.state_dict().values(), torch.get_rng_state()], made


@pytest.mark.parametrize("way", ["tracker", "hooks"])
@pytest.mark.parametrize("options", [{}, {"micro_batches": 2, "mixed_precision": "bf16"}])
def test_watching_changes_no_bit(way, options, tmp_path):
    alone, _ = train(**options)
    if way == "tracker":
        watched, _ = train([UnstuckTracker(tmp_path / "run")], **options)
    else:
        with unstuck.watch(out=tmp_path / "run"):
            watched, _ = train(**options)
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
    assert "grad_norm/adam/net.0" in unstuck.load(tmp_path / "run").series


def test_names_and_values_are_the_scripts_own(tmp_path):
    tracker = UnstuckTracker(tmp_path / "run", recipe={"lr": 1e-2}, resumed=40)
    _, made = train([tracker], micro_batches=2, config={"batch": 16})
    run = unstuck.load(tmp_path / "run")
    whole = torch.tensor(made).reshape(-1, 2).mean(dim=1)
    assert run.series["loss/total"].value.tolist() == pytest.approx(whole.tolist())
    weights = {n: s.value for n, s in run.series.items() if n.startswith("weight/")}
    assert weights["weight/total/fit"] == pytest.approx(1.0)
    assert weights["weight/total/decay"] == pytest.approx(1e-3)
    assert run.series["metric/val/accuracy"].value.tolist() == [0.5, 0.6, 0.7]
    assert run.series["metric/val/accuracy"].step.tolist() == [3, 7, 11]
    assert run.series["epoch"].value.tolist() == [0, 1, 2]
    assert run.recipe["lr"] == 1e-2
    assert run.facts["resumed/step"] == 40 and run.facts["recipe/batch"] == 16
    assert not torch.nn.modules.module._global_forward_hooks


def test_a_script_that_fails_leaves_a_record_that_says_so(tmp_path):
    (tmp_path / "train.py").write_text(
        textwrap.dedent(
            """
            import sys
            sys.path.insert(0, sys.argv[1])
            from test_integration_accelerate import UnstuckTracker, train
            train([UnstuckTracker("run")], fails_at=10)
            """
        )
    )
    command = [sys.executable, "train.py", str(Path(__file__).parent)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("ValueError: lost")
    run = unstuck.load(tmp_path / "run")
    assert run.facts["exit/exception"] == "ValueError: lost"
    assert len(run.series["loss/total"]) == 10
