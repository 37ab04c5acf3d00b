"""Which pairs are trained on and which are held out, from the sample and from fonts."""

import os

import pytest
import torch
from zi2zi_fonts import boxes, font

from unstuck.cases.zi2zi.glyphs import load
from unstuck.cases.zi2zi.metrics import l1
from unstuck.cases.zi2zi.recipe import Recipe

CHARS = "abcdefghijklmnop"


@pytest.fixture
def recipe(tmp_path):
    names = {
        c: {k: v for k, v in boxes(CHARS, i).items() if not (i == 2 and k == "p")}
        for i, c in enumerate("abc")
    }
    a, b, c = (str(font(tmp_path / f"{n}.ttf", glyphs, n)) for n, glyphs in names.items())
    charset = tmp_path / "charset.txt"
    charset.write_text(CHARS)
    return Recipe(source=a, target=os.pathsep.join((b, c)), charset=str(charset), held_out=4)


def test_the_sample_has_a_thousand_pairs_and_no_character_on_both_sides():
    split = load(Recipe(), 0)
    assert (len(split.train), len(split.held_out)) == (800, 200)
    assert not set(split.train.characters) & set(split.held_out.characters)
    assert split.train.source.shape == (800, 1, 64, 64)
    assert -1 <= split.train.source.min() < -0.9 and split.train.source.max() == 1
    assert float(l1(split.held_out.source, split.held_out.target).mean()) == pytest.approx(
        0.179, abs=0.005
    )


def test_a_seed_decides_who_is_held_out_and_no_other_knob_does():
    split = load(Recipe(), 0)
    for knobs in ({"train_characters": 50}, {"target_x": 2}, {"ngf": 4}, {"shift": 0}):
        assert load(Recipe(**knobs), 0).held_out.characters == split.held_out.characters
    assert load(Recipe(), 1).held_out.characters != split.held_out.characters
    assert len(load(Recipe(train_characters=50), 0).train) == 50


def test_a_shift_moves_the_targets_and_nothing_else():
    plain, moved = load(Recipe(), 0).held_out, load(Recipe(target_x=2, target_y=1), 0).held_out
    assert torch.equal(plain.source, moved.source)
    assert torch.equal(plain.target[:, :, :-1, :-2], moved.target[:, :, 1:, 2:])


def test_several_targets_are_styles_of_the_same_held_out_characters(recipe):
    split = load(recipe, 0)
    styles = [set(), set()]
    for char, style in zip(split.held_out.characters, split.held_out.styles.tolist(), strict=True):
        styles[style].add(char)
    assert styles[0] == styles[1] and len(styles[0]) == 4
    assert not styles[0] & set(split.train.characters)
    assert split.dropped == {"p": "absent from c Regular"}
    assert "p" in split.train.characters  # the other target has it
    assert len(split.faces) == 3


def test_too_few_characters_are_said_in_one_line(recipe):
    with pytest.raises(ValueError, match="held_out=15") as error:
        load(recipe.model_copy(update={"held_out": 15}), 0)
    assert "\n" not in str(error.value)
