"""What a fix chooses: candidates, the number it judges by, the words it runs."""

import shlex
import sys
from dataclasses import replace

import numpy as np
import pytest

from unstuck import Run
from unstuck.diagnose import diagnose
from unstuck.fixing import candidates, yardstick
from unstuck.fixing.asked import Asked, begin
from unstuck.fixing.opponent import draws
from unstuck.fixing.script import Script
from unstuck.records import Cause, Diagnosis, Finding, Treatment
from unstuck.trials.knobs import knobs_of
from unstuck.trials.plan import planned
from unstuck.trials.subject import check_command, filled

STEPS = 40


def treatment(changes, code="OPT001"):
    return Treatment("t", "remedy", changes, "", (code,))


RATE = treatment({"lr/adam": "x0.1"})


def chosen(run, *treatments, **more):
    return yardstick.chosen(run, treatments or (RATE,), **more)


def falling(**columns):
    names = {f"loss__{name}": np.linspace(2, 1, STEPS) for name in columns.pop("losses", ["loss"])}
    return Run.of(lr__adam=[0.1] * STEPS, **names, **columns)


def test_a_number_on_held_out_data_comes_before_the_training_loss():
    by = chosen(falling(metric__val__acc=[0.1, 0.2], metric__val__cross_entropy=[2.0, 1.0]))
    assert (by.metric, by.higher_is_better, by.kind) == (
        "metric/val/cross_entropy", False, "validation",
    )  # fmt: skip
    assert by.start == 2.0 and by.floor == -2.0
    by = chosen(falling())
    assert (by.metric, by.kind, by.start) == ("loss/loss", "training loss", 2.0)
    assert "nothing was measured on held-out data" in by.why


def test_what_is_asked_for_is_judged_by_whatever_it_is():
    by = chosen(falling(), treatment({"weight/loss/kl": 0.1}), metric="psnr")
    assert (by.metric, by.higher_is_better, by.kind) == ("psnr", True, "asked")
    assert not chosen(falling(), metric="psnr", higher=False).higher_is_better


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"weight/loss/kl": "x0.1"}, "LOS001"),
        ({"r1/net_d": 1.0}, "ADV001"),
        ({"label_smoothing/cross_entropy": 0.1}, "OPT001"),
        ({"scores/cross_entropy": "raw"}, "DAT007"),
        ({"lr/adam": "x0.1"}, "COL004"),
        ({"weight_decay/adam": 0.01}, "GEN001"),
    ],
)
def test_a_training_loss_cannot_judge_what_changes_its_meaning(changes, code):
    by = chosen(falling(), treatment(changes, code))
    assert by.kind == "none" and "change what loss/loss means" in by.why
    assert yardstick.comparable(by, treatment(changes, code)) is False


def test_a_repaired_loss_function_is_judged_by_accuracy_and_not_by_the_loss():
    run = falling(metric__val__loss=[2.0, 1.0], metric__val__acc=[0.1, 0.2])
    repair = treatment({"scores/cross_entropy": "raw"}, "DAT007")
    assert chosen(run, repair).metric == "metric/val/acc"
    assert chosen(run, RATE).metric == "metric/val/loss"


def test_games_agents_and_losses_side_by_side_have_no_loss_to_be_judged_by():
    by = chosen(falling(losses=["d_loss", "g_loss"]))
    assert by.kind == "none" and "play against each other" in by.why
    by = chosen(falling(losses=["one", "two"]))
    assert by.kind == "none" and by.why == "2 losses are minimised side by side"
    agent = falling(losses=["policy_loss"], metric__train__mean_return=[1.0, 2.0])
    assert (chosen(agent).metric, chosen(agent).higher_is_better) == (
        "metric/train/mean_return", True,
    )  # fmt: skip


def diagnosis(*codes):
    found = [Finding(code, "adam", "", (), "warning") for code in codes]
    run = falling(grad_norm__adam=[1.0] * STEPS)
    return Diagnosis(run, tuple(Cause(f) for f in found))


def test_candidates_are_the_first_numbers_of_every_remedy_and_named_apart():
    one = candidates.candidates(diagnosis("OPT001"))
    assert len(one) > 1 and len({t.name for t in one}) == len(one)
    assert one[0].remedy != one[1].remedy  # not one remedy's second number before another's first
    assert candidates.candidates(diagnosis("OPT001"), most=1) == one[:1]
    alone = candidates.candidates(diagnosis("OPT001"), only="lower-learning-rate")
    assert {t.remedy for t in alone} == {"lower-learning-rate"}
    tried = {t.remedy for t in one}
    assert not tried & {s.remedy for s in candidates.suggestions(diagnosis("OPT001"), one)}


def test_only_the_top_causes_are_treated_and_information_is_no_cause():
    many = diagnosis("OPT001", "OPT001", "OPT001", "GRD002")
    assert len(candidates.causes(many)) == candidates.MOST_CAUSES
    quiet = diagnosis("OPT001")
    info = replace(quiet.causes[0].finding, severity="info")
    assert candidates.causes(replace(quiet, causes=(Cause(info),))) == ()
    with pytest.raises(ValueError, match="did you mean lower-learning-rate"):
        candidates.check_remedy("lower-learning-rates")


def test_a_healthy_run_has_no_candidates():
    assert candidates.candidates(diagnose(falling())) == ()


SOURCE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--seed", type=int, default=7)
parser.add_argument("--note", default="")
"""


def words_run(script, treatments, arm, seed):
    """The words a run of that arm is started with."""
    subject, baseline = script.command(treatments)
    plan = planned("loss", baseline, treatments, [seed])
    check_command(subject.command, plan, subject.reseed)
    recipe = {**baseline, **(treatments[0].changes if arm else {})}
    return filled(subject.command, recipe, seed)


def test_seed_and_fields_go_into_the_scripts_own_flags(tmp_path):
    file = tmp_path / "train.py"
    file.write_text(SOURCE)
    script = Script.of([str(file), "--lr", "0.5", "--note", "a {b} c"])
    assert (script.seed.field, script.own_seed) == ("seed", 7)
    larger = [treatment({"batch_size": 32}, "OPT008")]
    subject, baseline = script.command(larger)
    assert subject.watch and not subject.reseed and baseline["batch_size"] == 8
    for arm, size in ((False, "8"), (True, "32")):
        words = words_run(script, larger, arm, 3)
        assert words[:2] == [sys.executable, str(file)]
        assert words[words.index("--batch-size") + 1] == size
        assert words[words.index("--seed") + 1] == "3"
        assert "a {b} c" in words  # braces of the script's own arguments are left alone
    assert "--batch-size 32" in shlex.join(script.with_changes({"batch_size": 32}))
    assert script.can(larger[0]) == "" and "no flag for width" in script.can(
        treatment({"width": 3})
    )


def test_a_script_without_a_seed_is_seeded_from_outside_and_any_name_is_run(tmp_path):
    file = tmp_path / "a; rm -rf $HOME {seed} 'x\".py"
    file.write_text("print('training')")
    script = Script.of([str(file), "--tag={lr}"])
    subject, _ = script.command([RATE])
    assert subject.reseed
    assert words_run(script, [RATE], True, 1) == [sys.executable, str(file), "--tag={lr}"]


@pytest.mark.parametrize(
    ("words", "error"),
    [((), "give a script"), (("-m",), "-m needs a module"), (("no.py",), "there is no script no")],
)
def test_what_is_no_script_is_one_line(words, error):
    with pytest.raises(ValueError, match=error):
        Script.of(words)


def test_a_folder_holds_one_fix_and_says_what_differs(tmp_path):
    file = tmp_path / "train.py"
    file.write_text(SOURCE)
    script = Script.of([str(file)])
    asked = Asked(script.words)
    out = tmp_path / "out"
    begin(out, asked, script)
    begin(out, replace(asked, pairs=6), script)  # nothing has been tried yet
    (out / "race").mkdir()
    with pytest.raises(ValueError, match=r"another fix \(it differs in pairs, metric\)|pairs"):
        begin(out, replace(asked, pairs=8, metric="psnr"), script)
    begin(out, replace(asked, pairs=6), script)
    file.write_text(SOURCE + "\n")
    with pytest.raises(ValueError, match="the script has changed since"):
        begin(out, replace(asked, pairs=6), script)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("")
    with pytest.raises(ValueError, match="is not empty and holds no fix"):
        begin(tmp_path / "full", asked, script)


def test_random_search_draws_only_what_can_be_judged_and_the_same_every_time():
    run = falling(grad_norm__adam=[1.0] * STEPS, prediction__cross_entropy__x=[1.0] * STEPS)
    by = chosen(run)
    drawn = draws(knobs_of(run), 12, by)
    assert len({t.name for t in drawn}) == 12 and drawn == draws(knobs_of(run), 12, by)
    assert all(yardstick.comparable(by, t) for t in drawn)
    assert draws((), 5, by) == ()
