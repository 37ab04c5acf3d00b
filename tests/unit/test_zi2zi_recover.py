"""Options of a checkpoint from its shapes alone."""

import json

import pytest
import torch

from unstuck.cases.zi2zi import recover_recipe
from unstuck.cases.zi2zi.model import Discriminator, Generator
from unstuck.cases.zi2zi.recipe import Recipe


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    recipe = Recipe(ngf=8, ndf=12, attention="innermost", skips="concatenated")
    file = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    networks = {"generator": Generator(recipe), "discriminator": Discriminator(recipe)}
    torch.save({"game": {name: n.state_dict() for name, n in networks.items()}}, file)
    return file


def test_widths_skips_attention_and_size_are_recovered(checkpoint):
    found = recover_recipe.recovered(checkpoint)
    assert {name: one.exact for name, one in found.items()} == {
        "the generator": True,
        "the discriminator": True,
    }
    recipe = found["the generator"].recipe | found["the discriminator"].recipe
    assert recipe == {
        "ngf": 8,
        "ndf": 12,
        "size": 64,
        "skips": "concatenated",
        "attention": "innermost",
        "spectral_g": False,
        "spectral_d": False,
    }


def test_other_options_are_named(checkpoint, tmp_path, capsys):
    other = tmp_path / "recipe.json"
    other.write_text(json.dumps(Recipe(ngf=8, ndf=16, skips="added").flat()))
    assert recover_recipe.main([str(checkpoint), "--recipe", str(other)]) == 0
    said = capsys.readouterr().out
    assert "skips is concatenated in the weights, added in the recipe" in said
    assert "ndf is 12 in the weights, 16 in the recipe" in said
    assert "ngf is" not in said


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04"])
def test_what_is_no_checkpoint_is_said_in_one_line(content, tmp_path, capsys):
    file = tmp_path / "generator.pt"
    file.write_bytes(content)
    assert recover_recipe.main([str(file)]) == 2
    said = capsys.readouterr().err
    assert "damaged or no checkpoint" in said and said.count("\n") == 1
    assert recover_recipe.main([str(tmp_path / "none.pt")]) == 2
