"""`unstuck tune` from the command line: one script, searched, confirmed, refused."""

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from unstuck.cli_tune import tune_command
from unstuck.trials import PlanError
from unstuck.trials.knobs import Knob
from unstuck.trials.written_knobs import read_knob

SCRIPT = """
import argparse
import torch
from torch.nn.functional import cross_entropy

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.0005)
parser.add_argument("--steps", type=int, default=40)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
truth = torch.randn(8)
x, unseen = torch.randn(256, 8), torch.randn(256, 8)
model = torch.nn.Linear(8, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
for step in range(args.steps):
    optimizer.zero_grad()
    loss = cross_entropy(model(x), (x @ truth > 0).long())
    loss.backward()
    optimizer.step()
model.eval()
with torch.no_grad():
    print("val_loss:", cross_entropy(model(unseen), (unseen @ truth > 0).long()).item())
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A script, and a folder in which its first run lies already."""
    folder = tmp_path_factory.mktemp("tuned")
    (folder / "train.py").write_text(SCRIPT)
    place = SimpleNamespace(script=str(folder / "train.py"), out=str(folder / "out"))
    listed = tuned(place, "--list")
    assert listed.exit_code == 0, listed.output
    place.listed = listed.stdout
    return place


def tuned(place, *options):
    return CliRunner().invoke(tune_command, ["--out", place.out, *options, place.script])


def problem(place, *options):
    """The one line that bad input ends in."""
    result = tuned(place, *options)
    error = result.exception
    text = str(error) if isinstance(error, ValueError) else result.stderr.strip().splitlines()[-1]
    assert result.exit_code != 0
    assert "\n" not in text
    return text


def test_what_can_be_turned_is_listed(trained):
    lines = trained.listed.splitlines()
    assert "--over lr/optimizer=x0.01:x100" in lines
    assert "--over schedule/optimizer=constant,cosine:40,linear:40" in lines
    assert "--over lr=LOW:HIGH (the script's own, now 0.0005)" in lines
    assert not any("seed" in line for line in lines), "the seed belongs to the pairs"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--over", "lr"], "give NAME=LOW:HIGH"),
        (["--over", "lr=x0.1:x10"], "give its values, not multiples"),
        (["--over", "lr/optimizer=x0.1:10"], "both ends are multiples"),
        (["--over", "lr=1:0.1"], "the first end must be the lower one"),
        (["--over", "steps=1.5:8"], "takes whole numbers"),
        (["--over", "rate=1:2"], "no flag for 'rate' (it has: lr, steps)"),
        (["--over", "seed=1:2"], "no flag for 'seed'"),
        (["--over", "lr/nobody=x0.1:x10"], "there is no lr/nobody in the run"),
        (["--over", "clip/optimizer=-1:2"], "give a number, or 'off'"),
        (["--over", "schedule/optimizer=constant"], "at least two values"),
        (["--over", "lr=0.1:1", "--over", "lr=0.1:2"], "lr is to be turned twice"),
        (["--over", "lr=0.1:1", "--remedy", "use-warmup"], "--over or --remedy, not both"),
        (["--remedy", "use-warmpu"], "there is no remedy called 'use-warmpu'"),
        (["--over", "lr=0.1:1", "--runs", "5"], "5 runs are too few"),
    ],
)
def test_bad_input_is_one_line(trained, options, message):
    assert message in problem(trained, *options)


def test_a_flag_of_the_script_is_searched_and_its_best_value_is_proven(trained, tmp_path):
    few = ["--suggestions", "2", "--search-seeds", "1", "--seeds", "3", "--no-cache"]
    file = tmp_path / "tuned.json"
    result = tuned(trained, "--over", "lr=0.5:5", "--metric", "val_loss", *few, "--json", str(file))
    assert result.exit_code == 0, result.output
    assert "Found on seeds 0, confirmed on seeds 1-3" in result.stdout
    content = json.loads(file.read_text())
    assert content["verdict"] == "helped"
    assert 0.5 <= content["search"]["best"]["lr"] <= 5
    assert f"Use it: python {trained.script} --lr" in result.stdout


def test_ranges_and_choices_are_read_as_what_they_are():
    recipe = {"lr": 0.1, "batch_size": 32, "name": "sgd"}
    assert read_knob("lr=1e-4:1e-1", recipe) == Knob("lr", 1e-4, 0.1, log=True)
    assert read_knob("lr=0.1:0.2", recipe) == Knob("lr", 0.1, 0.2)
    assert read_knob("--batch_size=16:128", recipe) == Knob("batch_size", 16, 128, whole=True)
    assert read_knob("batch_size=16,64", recipe).choices == (16, 64)
    assert read_knob("name=sgd,adam", recipe).choices == ("sgd", "adam")
    live = read_knob("lr/adam=x0.01:x10", recipe)
    assert live == Knob("lr/adam", 0.01, 10, log=True, multiple=True)
    assert read_knob("warmup/adam=1:50", recipe).whole
    assert read_knob("schedule/adam=constant,cosine:50", recipe).choices == (
        "constant",
        "cosine:50",
    )
    for text in ("", "=", "lr=", "lr=nan:1", "lr=1:inf", "unknown/adam=1:2", "lr/adam=a:b,c"):
        with pytest.raises(PlanError):
            read_knob(text, recipe)
