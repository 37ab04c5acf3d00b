"""Trained automata at work: films, damage, stability, horizon, evaluation, experiments."""

import json

import imageio.v3 as imageio
import pytest
import torch
from imageio_ffmpeg import count_frames_and_secs
from PIL import Image

import unstuck
from unstuck.cases.nca import damage, evaluate, grow_video, horizon, measures, probe, stability
from unstuck.cases.nca.checkpoint import trained
from unstuck.cases.nca.health import reach
from unstuck.cases.nca.recipe import PRESETS
from unstuck.cases.nca.train import train
from unstuck.data import weights
from unstuck.examine import chosen, examined

TASKS = ("grow", "flow")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for task in TASKS:
        train(PRESETS[f"{task}-tiny"].model_copy(update={"iterations": 4}), 0, folder / task)
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_films_have_a_frame_a_step(runs, tmp_path, task):
    for kind in (".gif", ".mp4"):
        file = tmp_path / f"film{kind}"
        words = [str(runs / task), "--out", str(file), "--steps", "6", "--damage-at", "3"]
        assert grow_video.main(words) == 0
        if kind == ".mp4":
            assert count_frames_and_secs(str(file))[0] == 7
            continue
        frames = imageio.imread(file, plugin="pillow")
        assert 2 <= len(frames) <= 7 and frames.shape[1] == 384  # equal ones are joined
    assert not list(tmp_path.glob("part-*"))


@pytest.mark.parametrize("task", TASKS)
def test_every_program_prints_its_table_and_draws(runs, tmp_path, capsys, task):
    for program, words in (
        (damage, ("undone", "middle")),
        (stability, ("10x steps", "4x (96 px)")),
        (horizon, ("reach", "90 %")),
    ):
        file = tmp_path / "picture.png"
        assert program.main([str(runs / task), "--picture", str(file)]) == 0
        told = capsys.readouterr().out
        assert all(word in told for word in words), told
        with Image.open(file) as page:
            assert page.width >= 144
        file.unlink()


@pytest.mark.parametrize("task", TASKS)
def test_an_evaluation_has_every_figure(runs, tmp_path, task):
    file = tmp_path / "figures.json"
    assert evaluate.main([str(runs / task), "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert set(found["error"]) == {"1", "2", "4"} and set(found["error"]["1"]) == {
        "1",
        "2",
        "4",
        "10",
    }
    metrics = json.loads((runs / task / "metrics.json").read_text())
    assert found["error"]["1"]["4"] == pytest.approx(metrics["error_x4"])
    assert found["cost"]["parameters"] == metrics["parameters"]
    assert ("moved 3, 0" in found["first states"]) is (task == "grow")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "film.avi"], ".mp4 or a .gif"),
        (["--steps", "0"], "1 to 5000"),
        (["--fps", "0"], "1 to 100"),
        (["--sample", "99"], "0 to 7"),
    ],
)
def test_a_film_that_cannot_be_is_refused(runs, capsys, words, says):
    assert grow_video.main([str(runs / "grow"), *words]) == 2
    assert says in capsys.readouterr().err


def test_a_folder_without_a_run_and_a_rule_of_other_options_are_refused(runs, tmp_path, capsys):
    assert damage.main([str(tmp_path)]) == 2
    assert "holds no finished nca run" in capsys.readouterr().err
    recipe = json.loads((runs / "grow" / "recipe.json").read_text())
    (tmp_path / "recipe.json").write_text(json.dumps(recipe | {"hidden": 32}))
    weights.save(tmp_path / "rule.pt", torch.load(runs / "grow" / "rule.pt", weights_only=True))
    assert damage.main([str(tmp_path)]) == 2
    assert "is of other options" in capsys.readouterr().err
    (tmp_path / "rule.pt").write_bytes(b"no weights")
    assert damage.main([str(tmp_path)]) == 2
    assert "damaged or no checkpoint" in capsys.readouterr().err


def test_nothing_beyond_the_reach_matters(runs):
    model, task = trained(runs / "grow")
    for rule in model.rules:
        torch.nn.init.normal_(rule.act.weight, std=0.02)
    task.start = lambda entries, side, channels: torch.rand(len(entries), channels, side, side)
    steps = 4
    found = measures.influence(model, task, steps)
    beyond = found.clone()
    # a step's mask looks at neighbours of neighbours, as what it adds does
    beyond[12 - steps : 13 + steps, 12 - steps : 13 + steps] = 0
    assert found.sum() > 0 and beyond.sum() == 0
    assert 0 < measures.radius(found) <= steps * 2**0.5
    assert reach(model) == model.recipe.steps_most


@pytest.mark.parametrize(
    ("task", "fact"), [("grow", "fragility/rule/built"), ("flow", "position/rule/kind")]
)
def test_a_probed_training_tells_what_its_rule_was_found_to_be(tmp_path, task, fact):
    recipe = PRESETS[f"{task}-tiny"].model_copy(
        update={"iterations": 3, "levels": 1, "probed": True, "lasting": False}
    )
    with unstuck.watch(out=tmp_path / "run", budget=None):
        train(recipe, 0)
    facts = unstuck.load(tmp_path / "run").facts
    assert fact in facts and facts["meant/rule/lasting"] is False


@pytest.mark.parametrize("task", TASKS)
def test_a_trained_rule_can_be_experimented_on(runs, task):
    subject = probe.subject(["--run", str(runs / task)])
    found = examined(subject, chosen(["horizon", "seed-and-damage"]), seconds=5)
    assert found.facts["horizon/rule/canvas"] == 24
    assert ("fragility/rule/built" in found.facts) is (task == "grow")
