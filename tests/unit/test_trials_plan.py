"""What a trial may be: specs, plans and subjects, and one clear line for each that may not."""

import functools
import json

import numpy as np
import pytest

import unstuck
from unstuck.records import Outcome, Treatment
from unstuck.trials import PlanError, ledger, read_spec
from unstuck.trials.plan import arms, from_json, live, planned, to_json
from unstuck.trials.subject import Subject, filled, reference

SPEC = """
[trial]
name = "lower"
train = "project.training:train"
metric = "val_psnr"
seeds = 3
margin = 0.2
unit = "dB"
finding = "COL004"

[baseline]
lr = 1e-3
skips = true
kind = "unet"

[treatments.low]
lr = 1e-4
remedy = "lower-learning-rate"
expectation = "no jumps"

[treatments.free-content]
"weight/loss/content" = "x0.05"
"""


def spec(tmp_path, text):
    file = tmp_path / "spec.toml"
    file.write_text(text)
    return file


def test_a_spec_is_a_plan_and_what_it_runs(tmp_path):
    plan, subject = read_spec(spec(tmp_path, SPEC))
    assert plan.treatments == (
        Treatment("low", "lower-learning-rate", {"lr": 1e-4}, "no jumps"),
        Treatment("free-content", "", {"weight/loss/content": "x0.05"}, ""),
    )
    assert (plan.metric, plan.seeds, plan.margin, plan.unit) == ("val_psnr", (0, 1, 2), 0.2, "dB")
    assert plan.higher_is_better and plan.name == "lower"
    assert (subject.train, subject.watch) == ("project.training:train", True)
    assert str(tmp_path.resolve()) in subject.path
    assert live(arms(plan)["free-content"]) == {"weight/loss/content": "x0.05"}
    assert arms(plan)["low"] == {"lr": 1e-4, "skips": True, "kind": "unet"}


def test_a_loss_is_better_lower_and_an_explicit_direction_wins(tmp_path):
    text = SPEC.replace("val_psnr", "val_loss")
    assert not read_spec(spec(tmp_path, text))[0].higher_is_better
    text = text.replace("seeds = 3", "seeds = [5, 2]\nhigher_is_better = true")
    plan, _ = read_spec(spec(tmp_path, text))
    assert plan.higher_is_better and plan.seeds == (5, 2)


def test_nothing_is_watched_unless_something_needs_it(tmp_path):
    text = SPEC.replace('finding = "COL004"', "").replace('"weight/loss/content" = "x0.05"', "")
    assert not read_spec(spec(tmp_path, text))[1].watch
    assert read_spec(spec(tmp_path, text.replace("seeds = 3", "seeds = 3\nwatch = true")))[1].watch


BROKEN = {
    "unknown key 'sedes' in [trial]": ("seeds = 3", "sedes = 3"),
    "unknown key 'treatment' in the spec": ("[treatments.low]", "[treatment.low]"),
    "[trial] lacks 'metric'": ('metric = "val_psnr"', ""),
    "[trial] lacks 'seeds'": ("seeds = 3", ""),
    "seed 1 is given twice": ("seeds = 3", "seeds = [1, 2, 1]"),
    "a count of at least 1": ("seeds = 3", "seeds = 0"),
    "seeds must be a list of whole numbers": ("seeds = 3", 'seeds = "3"'),
    "from 0 on, not -1": ("seeds = 3", "seeds = [-1]"),
    "a whole number from 0 on, not 0.5": ("seeds = 3", "seeds = [0.5]"),
    "no readable TOML": ("seeds = 3", "seeds = = 3"),
    "either 'train' (module:function) or 'command'": ('train = "project.training:train"', ""),
    "must be written 'module:function', not 'train'": ("project.training:train", "train"),
    "no.py, which does not exist": ("project.training:train", "no.py:train"),
    "changes 'rate', which the baseline does not have (it has: lr,": ("lr = 1e-4", "rate = 1"),
    "give a number, or a multiple such as 'x0.1'": ("x0.05", "times 2"),
    "quote the name in treatment 'free-content': \"weight/...": (
        '"weight/loss/content"',
        "weight.a",
    ),
    "lr of the baseline must be a number, text or true/false, not list": ("lr = 1e-3", "lr = [1]"),
    "lr of the baseline must be finite": ("lr = 1e-3", "lr = inf"),
    "confidence must be at least 0.5 and below 1": ("seeds = 3", "seeds = 3\nconfidence = 95"),
    "margin must be at least 0": ("margin = 0.2", "margin = -1"),
    "margin must be a number": ("margin = 0.2", 'margin = "small"'),
    "watch must be true or false": ("seeds = 3", "seeds = 3\nwatch = 1"),
    "two arms are called 'baseline'": ("[treatments.low]", "[treatments.baseline]"),
    "expectation of treatment 'low' must be text": ('"no jumps"', "3"),
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_wrong_with_a_spec_is_said_in_one_line(tmp_path, message):
    old, new = BROKEN[message]
    assert old in SPEC
    with pytest.raises(ValueError) as caught:
        read_spec(spec(tmp_path, SPEC.replace(old, new)))
    assert message in str(caught.value)
    assert "spec.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spec_without_treatments_or_without_a_file(tmp_path):
    with pytest.raises(PlanError, match="at least one treatment"):
        read_spec(spec(tmp_path, SPEC.split("[treatments.low]")[0]))
    with pytest.raises(PlanError, match=r"no\.toml does not exist"):
        read_spec(tmp_path / "no.toml")


COMMAND = """
[trial]
command = "python train.py --lr {lr} --seed {seed}"
metric = "loss"
seeds = 2
[baseline]
lr = 1e-3
momentum = 0.9
[treatments.low]
lr = 1e-4
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("--seed {seed}", "", "the command needs {seed}"),
        ("{lr}", "{rate}", "{rate}, which the baseline does not have"),
        ("lr = 1e-4", "momentum = 0.5", "'low' changes 'momentum', but the command has no {mom"),
        ("python train.py", "no-such-program-here", "does not start with a program that exists"),
        ("python train.py", "python 'train.py", "cannot be split into words"),
        ("metric", 'train = "a:b"\nmetric', "either 'train' (module:function) or 'command'"),
    ],
)
def test_a_command_that_could_not_do_what_the_plan_says(tmp_path, old, new, message):
    assert read_spec(spec(tmp_path, COMMAND))[1].command.startswith("python")
    with pytest.raises(PlanError) as caught:
        read_spec(spec(tmp_path, COMMAND.replace(old, new)))
    assert message in str(caught.value)


def test_a_value_in_a_command_stays_one_word_whatever_it_holds():
    words = filled("tool '{a} {b}' --x={c} {seed}", {"a": "1 2; rm", "b": "{c}", "c": False}, 7)
    assert words == ["tool", "1 2; rm {c}", "--x=false", "7"]


def train(recipe, seed):
    return {"score": recipe["lr"] + seed}


def test_a_function_is_found_by_its_module():
    assert reference(train) == f"{__name__}:train"


class Method:
    def train(self, recipe, seed):
        return {}


@pytest.mark.parametrize(
    "function",
    [lambda recipe, seed: {}, functools.partial(train), Method().train, 3],
    ids=["lambda", "partial", "method", "number"],
)
def test_a_function_no_other_process_can_import(function):
    with pytest.raises(PlanError, match=r"at the top level of a \.py file"):
        unstuck.trial(function, {"lr": 1}, {"a": {"lr": 2}}, metric="score", seeds=2)


def test_a_closure_and_a_notebook_function(monkeypatch):
    def inner(recipe, seed):
        return {}

    with pytest.raises(PlanError, match="move it there"):
        reference(inner)
    import __main__

    def cell(recipe, seed):
        return {}

    cell.__module__, cell.__qualname__ = "__main__", "cell"
    monkeypatch.setattr(__main__, "cell", cell, raising=False)
    monkeypatch.setattr(__main__, "__spec__", None)
    monkeypatch.delattr(__main__, "__file__", raising=False)
    with pytest.raises(PlanError, match="notebook"):
        reference(cell)


def test_numpy_numbers_become_plain_ones_and_the_plan_survives_json():
    plan = planned(
        "score",
        {"lr": np.float32(0.5), "on": np.bool_(True)},
        [Treatment("a", "r", {"lr": np.int64(2), "lr/opt": "x0.1"}, "e", ("A1", "B2"))],
        np.arange(3),
        margin=0.5,
        finding="A1",
    )
    assert type(plan.baseline["on"]) is bool
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan


def test_the_plan_on_disk_cannot_change_after_the_first_result(tmp_path):
    draft = planned("score", {"lr": 1}, {"a": {"lr": 3}}, 3)
    ledger.begin(tmp_path, draft, Subject(train="m:f"))
    one = planned("score", {"lr": 1}, {"a": {"lr": 2}}, 3)
    ledger.begin(tmp_path, one, Subject(train="m:f"))
    ledger.append(tmp_path, Outcome("a", 2, {"score": 1.0}))
    ledger.begin(tmp_path, one, Subject(train="m:f"))
    assert ledger.read_plan(tmp_path) == one
    two = planned("score", {"lr": 1}, {"a": {"lr": 2}}, 4)
    for plan, subject in ((two, Subject(train="m:f")), (one, Subject(train="m:g"))):
        with pytest.raises(PlanError, match="holds another trial"):
            ledger.begin(tmp_path, plan, subject)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "is no plan of a trial"),
        ('{"schema": 9, "plan": {}}', "another version"),
        ('{"schema": 1, "plan": {"metric": "a"}}', "no plan of a trial"),
        ('{"schema": 1, "plan": {"metric": "a", "surprise": 1}}', "no plan of a trial"),
    ],
)
def test_a_damaged_plan_file(tmp_path, text, message):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(PlanError, match=message):
        ledger.read_plan(tmp_path)
