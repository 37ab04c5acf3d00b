"""Recipes, presets, the published JSON form, and the command line's bad inputs."""

import json

import pytest
import torch

from unstuck.cases.contrast import command, diagnose, train
from unstuck.cases.contrast.config import read_config
from unstuck.cases.contrast.faults import FAULTS, TREATMENTS
from unstuck.cases.contrast.model import ContrastNet, count_parameters
from unstuck.cases.contrast.recipe import PRESETS, Recipe, made

PUBLISHED = {
    "latent_channels": 512,
    "decoder_features": [512, 256, 128],
    "encoder_features": [64, 128, 256],
    "same_domain_use_skip": False,
    "cross_domain_strategy": "no_skip",
    "content_weight": 1.0,
    "recon_weight": 0.05,
    "cross_weight": 1.0,
    "crop_size": 256,
    "batch_size": 4,
    "lr": 3e-4,
    "weight_decay": 0.01,
    "clip": 1.0,
}
NESTED = {
    "model": {
        "latent_channels": 512,
        "encoder": {"features": [64, 128, 256]},
        "decoder": {"features": [512, 256, 128]},
        "same_domain_use_skip": False,
        "cross_domain_strategy": "no_skip",
    },
    "loss": {"weights": {"content": 1.0, "recon": 0.05, "cross": 1.0}},
    "training": {
        "batch_size": 4,
        "optimizer": {"learning_rate": 3e-4, "weight_decay": 0.01},
        "grad_clip": 1.0,
    },
    "data": {"crop": 256},
}


@pytest.fixture
def config(tmp_path):
    def write(content):
        path = tmp_path / "config.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_presets_say_what_the_documents_say():
    notes = PRESETS["notes"]
    assert (notes.content_weight, notes.recon_weight, notes.cross_weight) == (1.0, 0.05, 1.0)
    assert not notes.same_domain_use_skip and notes.cross_domain_strategy == "no_skip"
    assert notes.latent_channels == 2 * PRESETS["reported"].latent_channels
    reported = PRESETS["reported"]
    assert reported.same_domain_use_skip and reported.cross_domain_strategy == "zero_skip"


@pytest.mark.parametrize("name", PRESETS)
def test_recipes_survive_being_flat(name):
    flat = PRESETS[name].flat()
    assert all(isinstance(value, float | int | str | bool) for value in flat.values())
    assert made(flat) == PRESETS[name]
    assert made(json.loads(json.dumps(flat))) == PRESETS[name]


def test_every_fault_changes_one_knob_of_the_repaired_recipe():
    for name, (changes, codes) in FAULTS.items():
        assert len(changes) == 1, name
        assert made(PRESETS["repaired"].flat() | dict(changes)) != PRESETS["repaired"]
        assert codes


def test_treatments_apply_to_the_published_remedy():
    for treatment in TREATMENTS:
        assert made(PRESETS["notes"].flat() | dict(treatment.changes)) != PRESETS["notes"]
        assert treatment.expectation and treatment.answers


@pytest.mark.parametrize("form", [PUBLISHED, NESTED], ids=["flat", "nested"])
def test_the_published_configuration_builds_the_original_network(config, form):
    recipe = read_config(config(form))
    assert recipe == Recipe(**PUBLISHED)
    model = ContrastNet(recipe)
    assert model.encoder.to_latent.weight.shape == (512, 256, 1, 1)
    assert count_parameters(model) == 13_673_476
    z, skips = model.encoder(torch.zeros(1, 2, 32, 32))
    assert z.shape == (1, 512, 8, 8)
    assert [s.shape[1] for s in skips] == [64, 128]


def test_a_configuration_changes_only_what_it_names(config):
    start = PRESETS["notes"]
    assert read_config(config({"latent_channels": 8}), start) == start.model_copy(
        update={"latent_channels": 8}
    )


def test_predictor_counts_as_a_strategy_in_a_configuration(config):
    recipe = read_config(config({"cross_domain_strategy": "predictor"}))
    assert (recipe.cross_domain_strategy, recipe.content_term) == ("no_skip", "predictor")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no valid JSON"),
        ("[1]", "one JSON object, not a list"),
        ({"latent_chanels": 4}, "unknown key 'latent_chanels'; known keys: anatomy, .*latent_chan"),
        ({"model": {"dept": 3}}, "unknown key 'dept'"),
        ({"cross_domain_strategy": "some_skip"}, "cross_domain_strategy: .*'zero_skip'"),
        ({"lr": -1}, "lr: .*greater than 0"),
        ({"decoder_features": [8, 8]}, "one entry per level"),
        ({"crop_size": 50}, "crop_size: .*multiple of 4"),
        ({"lr": 1, "training": {"learning_rate": 2}}, "lr is given twice, as 1 and 2"),
    ],
)
def test_bad_configurations_get_one_clear_line(config, content, message):
    with pytest.raises(ValueError, match=message) as raised:
        read_config(config(content))
    assert "\n" not in str(raised.value)
    assert "config.json" in str(raised.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "cured"], "no preset 'cured'; there are: reported, notes, repaired, tiny"),
        (["--set", "depth=3"], "unknown key 'depth'"),
        (["--set", "depth"], "--set needs KEY=VALUE, got 'depth'"),
        (["--config", "missing.json"], "no configuration file missing.json"),
        (["--data", "missing"], "missing is no folder of HDF5 files"),
        (["--steps", "0"], "steps: "),
        (["--set", "device=gpu9"], "device 'gpu9' cannot be used here: "),
    ],
)
@pytest.mark.parametrize("program", [train, diagnose])
def test_programs_say_what_is_wrong_and_exit_with_2(program, words, message, capsys, tmp_path):
    assert program.main([*words, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_later_options_override_earlier_ones(config):
    path = config({"content_weight": 0.5, "lr": 0.5})
    words = ["--preset", "notes", "--config", str(path), "--set", "lr=0.25", "--steps", "7"]
    words += ["--set", "zero_start=True", "--set", "decoder_features=[16, 8, 4]"]
    recipe = command.recipe_of(command.parser("x", "").parse_args(words))
    expected = {"content_weight": 0.5, "lr": 0.25, "steps": 7, "zero_start": True}
    assert recipe == made(
        PRESETS["notes"].model_dump() | expected | {"decoder_features": (16, 8, 4)}
    )
