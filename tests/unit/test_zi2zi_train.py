"""Trainings of the font case: what they leave, going on after an interruption, and accidents."""

import json
import resource

import numpy as np
import pytest
import torch

from unstuck.cases.zi2zi import checkpoint, train
from unstuck.cases.zi2zi.recipe import PRESETS, Recipe
from unstuck.diagnose import diagnose
from unstuck.load import load

TINY = PRESETS["tiny"].model_copy(update={"epochs": 2})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "tiny"
    return out, train.train(TINY, 0, out)


def test_a_run_leaves_what_its_readers_need(run):
    out, metrics = run
    assert json.loads((out / "metrics.json").read_text()) == metrics
    assert Recipe(**json.loads((out / "recipe.json").read_text())) == TINY
    generator, recipe, seed = checkpoint.trained(out)
    assert recipe == TINY and seed == 0 and not generator.training
    with np.load(out / "held_out.npz", allow_pickle=False) as file:
        assert file["prediction"].shape == file["target"].shape == (20, 64, 64)
        l1 = np.abs(file["prediction"].astype(float) - file["target"]).mean() / 255
    assert l1 == pytest.approx(metrics["l1"], abs=0.003)
    assert sorted(f.name for f in (out / "samples").iterdir()) == ["epoch-001.png", "epoch-002.png"]
    assert 0 <= metrics["d_accuracy_least"] <= metrics["d_accuracy"] <= 1


def test_the_seed_decides_everything(run):
    again, other = (train.train(TINY, seed) for seed in (0, 1))
    assert again["l1"] == run[1]["l1"] != other["l1"]


def test_the_printed_log_is_read_as_a_log_of_a_game(run):
    found = load(run[0] / "log.txt")
    assert {"loss/d_loss", "loss/g_loss"} <= set(found.series)
    assert any(name.endswith("cheat_loss") for name in found.series)
    diagnose(found)


def test_an_interrupted_run_goes_on_to_the_same_weights(run, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "picture", stop)  # after the first epoch's checkpoint
        with pytest.raises(KeyboardInterrupt):
            train.train(TINY, 0, tmp_path)
    with pytest.raises(ValueError, match="--resume"):
        train.train(TINY, 0, tmp_path)
    with pytest.raises(ValueError, match=r"lr_g 0.001 -> 0.01"):
        train.train(TINY.model_copy(update={"lr_g": 0.01}), 0, tmp_path, resume=True)
    metrics = train.train(TINY, 0, tmp_path, resume=True)
    assert metrics["l1"] == run[1]["l1"]
    whole, resumed = (checkpoint.read(out / checkpoint.STATE)["game"] for out in (run[0], tmp_path))
    for part in ("generator", "discriminator", "average"):
        for name, weights in whole[part].items():
            assert torch.equal(weights, resumed[part][name]), name


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    file = tmp_path / checkpoint.STATE
    checkpoint.save(file, {"epoch": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(checkpoint.NotSavedError, match="the last one is still there"):
            checkpoint.save(file, {"weights": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoint.read(file) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_a_checkpoint_of_other_options_says_what_differs(run, tmp_path):
    for name in (checkpoint.GENERATOR, checkpoint.METRICS):
        (tmp_path / name).write_bytes((run[0] / name).read_bytes())
    other = TINY.model_copy(update={"skips": "added"})
    (tmp_path / checkpoint.RECIPE).write_text(json.dumps(other.flat()))
    with pytest.raises(ValueError, match=r"is of other options: up\.1\.conv\.weight") as error:
        checkpoint.trained(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x80\x02cposix\nsystem\n."])
def test_a_damaged_checkpoint_is_said_in_one_line(content, tmp_path):
    (tmp_path / checkpoint.GENERATOR).write_bytes(content)
    with pytest.raises(ValueError, match="damaged or no checkpoint") as error:
        checkpoint.read(tmp_path / checkpoint.GENERATOR)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_run_is_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="holds no finished zi2zi run"):
        checkpoint.trained(tmp_path)


def test_the_command_says_what_is_wrong_and_ends(capsys):
    assert train.main(["--preset", "tiny", "--set", "batch_size=65"]) == 2
    assert "less than one update" in capsys.readouterr().err
    assert train.main(["--preset", "none"]) == 2
    assert "there are: reported" in capsys.readouterr().err
    assert train.main(["--source", "/nothing.ttf", "--target", "/nothing.ttf"]) == 2
    assert "no font file /nothing.ttf" in capsys.readouterr().err
