"""`unstuck run --probe` and `unstuck case probe` as a user meets them."""

import os
import subprocess
import sys
import textwrap

import pytest

import unstuck

TRAIN = """
    import os, sys
    import torch
    from torch import distributed

    if "RANK" in os.environ:
        distributed.init_process_group("gloo")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    if "RANK" in os.environ:
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(12):
        x = torch.randn(16, 3)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(sys.argv[1:], loss.item())
    if "RANK" in os.environ:
        distributed.destroy_process_group()
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(textwrap.dedent(TRAIN))
    return path


def command(*words, cwd):
    env = {**os.environ, "COLUMNS": "100", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, *map(str, words)]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, env=env)


def test_run_probes_an_unchanged_script_at_the_steps_asked_for(script, tmp_path):
    alone = command(script, "a", cwd=tmp_path)
    done = command(
        "-m", "unstuck", "run", "--out", "run", "--probe", "1,8", script, "a", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == alone.stdout
    facts = unstuck.load(tmp_path / "run").facts
    assert facts["probed/1"].startswith("probed loss of model (16 samples)")
    assert facts["probed/8"].startswith("probed loss of model")
    assert any(n.startswith("noise_scale/model/") for n in facts)
    assert "unstuck: step 8: probed loss of model" in done.stderr


def test_without_steps_it_takes_the_usual_ones(script, tmp_path):
    done = command("-m", "unstuck", "run", "--out", "run", "--probe", script, "7", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['7']")
    facts = unstuck.load(tmp_path / "run").facts
    assert facts["probed/1"].startswith("probed loss of model")
    assert facts["probed/200"] == "the run ended before"


@pytest.mark.parametrize("steps", ["1,x", "1;2", "1.5"])
def test_what_are_no_steps_is_refused_in_one_line(steps, script, tmp_path):
    done = command("-m", "unstuck", "run", "--probe", steps, script, cwd=tmp_path)
    assert done.returncode == 2
    assert "give steps, such as 1,200" in done.stderr and done.stderr.count("\n") == 1


def test_ranks_are_not_probed(script, tmp_path):
    launcher = ("torchrun", "--standalone", "--nproc-per-node", "2")
    done = command(
        *("-m", "unstuck", "run", "--out", "run", "--probe", "1", *launcher, script), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    told = [str(v) for n, v in unstuck.load(tmp_path / "run").facts.items() if "probed/1" in n]
    assert told and all("other ranks would wait" in text for text in told)


def test_an_item_of_the_course_is_probed_while_it_trains(tmp_path):
    words = ("course/cnn", "--sample", "true", "--steps", "6", "--train", "128", "--width", "4")
    done = command(
        "-m", "unstuck", "case", "probe", "--at", "1", "--record", "run", *words, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert unstuck.load(tmp_path / "run").facts["probed/1"].startswith("probed loss of model")


def test_the_contrast_case_hands_over_its_trained_model(tmp_path):
    from unstuck.cases.contrast import probe

    arguments = ["--preset", "tiny", "--steps", "2", "--out", str(tmp_path / "model")]
    subject = probe.subject(arguments)
    terms = subject.terms()
    assert set(terms) == {"content", "recon", "cross", "loss"}
    loss, at_use = terms["loss"].item(), subject.at_use(subject.model, subject.batch).item()
    assert at_use == pytest.approx(loss)
    one, other = subject.paired(subject.batch)
    assert one.shape == other.shape == (subject.samples, 1, 32, 32)
    again = probe.subject(["--run", str(tmp_path / "model")])
    assert again.value().item() == loss


def test_target_skips_leave_more_error_at_use_than_in_training(tmp_path):
    from unstuck.cases.contrast import probe

    words = ["--set", "cross_domain_strategy=target_skip", "--set", "same_domain_use_skip=true"]
    subject = probe.subject(
        ["--preset", "tiny", "--steps", "60", *words, "--out", str(tmp_path / "model")]
    )
    subject.model.eval()
    at_use = subject.at_use(subject.model, subject.batch)
    assert at_use.item() / subject.value().item() > 1.2
