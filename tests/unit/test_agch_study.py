"""The study's arithmetic on outcomes whose effects are known, and one part of it run for real."""

import numpy as np
import pytest

from unstuck import Outcome, Plan, Treatment, Trial
from unstuck.cases.agch import study, study_arms, study_runs, study_tables
from unstuck.cases.agch.faults import FAULTS
from unstuck.cases.agch.methods import BASELINES
from unstuck.cases.agch.recipe import PRESETS, REPAIRS, made
from unstuck.trials.judge import judge

SEEDS = (0, 1, 2)
LENGTHS = (16, 64)
SMALL = {"epochs": 1, "hidden": 8, "train_items": 60, "queries": 20, "bits": 8}
LEVEL = {"repaired": 0.3, "paper": 0.2, "notes": 0.1, "reported": 0.05}


def outcome(arm, seed, level, codes=None, **more):
    keys = [
        f"map{at}{way}" for at in ("", "_50") for way in ("", "_image_to_text", "_text_to_image")
    ]
    metrics = {key: level + seed / 100 + 0.4 * ("50" in key) for key in keys}
    metrics |= {f"real_{key}": value + 0.01 for key, value in metrics.items()}
    metrics |= {"unique": 1.0, "paired": 0.25, "queries": 300.0, "database": 1500.0 + seed}
    return Outcome(arm, seed, metrics | more, codes)


def trial(levels, baseline=None, name="agch-x"):
    """Arms whose mAP is a level of their own plus one of the seed."""
    arms = tuple(Treatment(arm, "", {"x": i}, "") for i, arm in enumerate(levels, 1))[1:]
    plan = Plan("map", baseline or {"bits": 64}, arms, SEEDS, stop_early=False, name=name)
    outcomes = tuple(outcome(arm, s, level) for arm, level in levels.items() for s in SEEDS)
    return Trial(plan, outcomes[::-1], judge(plan, outcomes))


@pytest.fixture
def forms():
    levels = {study_tables.arm_of("repaired", 16): LEVEL["repaired"]}
    levels |= {
        study_tables.arm_of(form, n): level + (n == 64) / 10
        for n in LENGTHS
        for form, level in LEVEL.items()
    }
    return trial(levels)


@pytest.fixture
def methods():
    levels = {study_tables.arm_of("random", 16): 0.02}
    return trial(levels | {study_tables.arm_of(m, n): 0.02 for m in BASELINES for n in LENGTHS})


def test_pairs_the_seeds_of_forms_and_lengths(forms, methods):
    text = "\n".join(study_tables.length_tables(forms, methods, LENGTHS, 64))
    assert "mAP@all, image to text; 300 queries, database 1500 to 1502." in text
    assert "| repaired | 0.310 (0.285 to 0.335) | 0.410 (0.385 to 0.435) |" in text
    same = "**+0.100 (+0.100 to +0.100)**"
    assert f"| paper | {same} | {same} |" in text
    own, both = (0.4 + np.array(SEEDS) / 100), (0.02 + np.array(SEEDS) / 100)
    share = study_tables.interval(own / both)
    assert f"| mAP@all | {share} | {share} |" in text


def test_differences_are_bold_only_away_from_zero():
    assert study_tables.difference(np.array([1.0, 2.0, 3.0])) == "+2.000 (-0.484 to +4.484)"
    assert study_tables.difference(np.array([-2.0, -2.1, -2.2])).startswith("**-2.100 (")
    assert study_tables.interval(np.array([1.0])) == "1.000"
    assert study_tables.interval(np.array([1.0, np.nan])) == "nan"


def test_protocol_and_method_come_apart(methods):
    learnt = trial({"baseline": 0.1, "reported": 0.05, "paper": 0.2, "repaired": 0.3})
    text = "\n".join(study_tables.gap_tables(learnt, methods, 64))
    assert "moves the codes of `notes` by **+0.400 (+0.400 to +0.400)**" in text
    assert "`paper` less `notes` is **+0.100" in text
    assert "`repaired` less `notes` **+0.200" in text
    assert "real codes instead of bits move their mAP@all by **+0.010" in text
    assert "is 0.865 (mAP@50) less 0.648 (mAP@all), +0.217" in text
    order = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert order == ["", "random", "constant", "reported", "notes", "paper", "repaired"]


def test_the_published_table_stands_beside_ours():
    levels = {"baseline": 0.3, "no graph": 0.28, "C + D": 0.1}
    text = "\n".join(study_tables.ablation_table(trial(levels, {"bits": 16})))
    assert "| **whole** | 0.710 (0.685 to 0.735) | | 0.865 | |" in text
    assert (
        "| no graph | 0.690 (0.665 to 0.715) | **-0.020 (-0.020 to -0.020)** | 0.855 | -0.010 |"
        in text
    )
    assert "| C + D | 0.510 (0.485 to 0.535) | **-0.200 (-0.200 to -0.200)** | |  |" in text
    assert "cosine only" not in text  # no run of it, so no row


def test_arms_have_their_verdict_and_what_was_named():
    found = trial({"baseline": 0.3, "worse": 0.1})
    named = [outcome("worse", s, 0.1, codes=c) for s, c in enumerate([("A1", "B2"), ("A1",), ()])]
    kept = tuple(o for o in found.outcomes if o.arm != "worse")
    found = Trial(found.plan, (*kept, *named), found.verdicts)
    text = "\n".join(study_tables.arm_table(found, "repaired"))
    assert "64 bits, 300 queries, database 1500 to 1502" in text
    row = next(line for line in text.splitlines() if line.startswith("| worse |"))
    assert "| -0.200 (" in row
    assert row.endswith("| 100% | 25% | A1 2 of 3, none 1 of 3 |")


def test_every_claim_points_to_arms_that_are_run():
    arms = {
        "added": study_arms.ADDED,
        "removed": study_arms.REMOVED,
        "corrected": study_arms.CORRECTED,
        "uncorrected": study_arms.UNCORRECTED,
        "ablation": {**study_arms.ABLATION, **study_arms.BEYOND},
    }
    assert list(study_arms.CLAIMS) == [f"A{n:02}" for n in range(1, 12)]
    for _, tests in study_arms.CLAIMS.values():
        assert tests
        for name, arm in tests:
            assert arm in arms[name]


@pytest.mark.parametrize(
    ("preset", "arms"),
    [
        ("reported", study_arms.ADDED),
        ("notes", study_arms.REMOVED),
        ("notes", study_arms.CORRECTED),
        ("repaired", study_arms.UNCORRECTED),
        ("paper", study_arms.ABLATION),
        ("paper", study_arms.BEYOND),
        ("repaired", {name: changes for name, (changes, _) in FAULTS.items()}),
    ],
)
def test_every_arm_is_a_recipe_of_its_own(preset, arms):
    recipes = [made(PRESETS[preset].flat() | dict(changes)) for changes in arms.values()]
    assert PRESETS[preset] not in recipes
    assert len({str(r.flat()) for r in recipes}) == len(recipes)


def test_corrections_together_make_the_notes_into_the_repaired_form():
    changed = PRESETS["notes"].flat()
    for changes in study_arms.corrections("notes", "repaired").values():
        changed |= changes
    left = {key for key, value in PRESETS["repaired"].flat().items() if changed[key] != value}
    assert left <= study_arms.REPORTING
    for name in REPAIRS:
        assert study_arms.undone(name)


def options(tmp_path, *words):
    return study._parser().parse_args([*words, "--out", str(tmp_path), "--workers", "1"])


def test_what_is_set_holds_in_every_arm(tmp_path):
    found = study.Study(options(tmp_path, "--set", "data=icons", "--set", "epochs=2"))
    assert found.fixed == {"data": "icons", "epochs": 2}
    assert found.folder.name == "bits-64-seeds-5-data-icons-epochs-2"


@pytest.mark.parametrize(
    ("word", "said"), [("bits=16", "give --bits"), ("epoch=1", "unknown key"), ("x", "KEY=VALUE")]
)
def test_settings_that_do_not_fit_are_told_in_one_line(tmp_path, capsys, word, said):
    assert study.main(["--set", word, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_baselines_and_trainings_have_figures_under_the_same_names():
    learnt = study_runs.trained(PRESETS["repaired"].flat() | SMALL, 0)
    other = study_runs.compared(PRESETS["repaired"].flat() | SMALL | {"method": "constant"}, 0)
    assert other.keys() <= learnt.keys()
    assert other["queries"] == learnt["queries"] == 20
    assert other["database"] == learnt["database"]
    assert 0 < learnt["unique"] <= 1
    assert learnt["map"] == pytest.approx(
        (learnt["map_image_to_text"] + learnt["map_text_to_image"]) / 2
    )
    assert learnt["real_map"] != learnt["map"]


def test_a_part_runs_and_is_taken_up_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("UNSTUCK_CACHE", str(tmp_path / "cache"))
    words = ["--only", "gap", "--seeds", "1", "--workers", "1", "--bits", "8"]
    words += [w for k, v in SMALL.items() if k != "bits" for w in ("--set", f"{k}={v}")]
    monkeypatch.setattr(study, "BASELINES", ("random", "constant"))
    monkeypatch.setattr(study, "LENGTHS", (16,))
    assert study.main([*words, "--out", str(tmp_path)]) == 0
    first = capsys.readouterr().out
    assert "### gap, 1 seeds" in first
    assert "8 bits, 20 queries, database" in first
    results = sorted(tmp_path.rglob("results.jsonl"))
    written = [file.stat().st_mtime_ns for file in results]
    assert len(results) == 2
    assert study.main([*words, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == first
    assert [file.stat().st_mtime_ns for file in results] == written
