"""The networks of the font case: the published counts, and every knob acting."""

import pytest
import torch
from torch import nn

from unstuck.cases.zi2zi.model import Discriminator, Generator, parameters
from unstuck.cases.zi2zi.recipe import PRESETS, Recipe, made

FULL = {"source": "a.ttf", "target": "b.ttf", "size": 384, "ngf": 64, "ndf": 64}


def small(**knobs):
    return Recipe(**{"ngf": 4, "ndf": 4, "dropout": 0.0} | knobs)


def drawn(recipe, seed=0):
    torch.manual_seed(seed)
    generator = Generator(recipe).eval()
    x = torch.rand(2, 1, recipe.size, recipe.size, generator=torch.Generator().manual_seed(1))
    return generator, generator(x * 2 - 1, torch.tensor([0, 1]))


def test_the_full_model_has_the_parameters_the_notes_give():
    recipe = Recipe(**FULL, skips="added", attention="innermost")
    assert parameters(Generator(recipe)) == 52_874_950
    assert parameters(Discriminator(recipe)) == 4_412_266


@pytest.mark.parametrize("size", [64, 128, 256, 384])
def test_pictures_come_back_in_their_size_and_range(size):
    fonts = {"source": "a.ttf", "target": "b.ttf"} if size != 64 else {}
    recipe = small(size=size, **fonts)
    _, picture = drawn(recipe)
    assert picture.shape == (2, 1, size, size)
    assert picture.abs().max() <= 1
    judgement = Discriminator(recipe)(picture, picture)
    assert judgement.real.shape == (2, 1) and judgement.style.shape == (2, 40)


@pytest.mark.parametrize(
    "knob",
    [
        {"skips": "added"},
        {"skips": "none"},
        {"attention": "innermost"},
        {"attention": "shallow"},
        {"norm": "none"},
        {"spectral_g": True},
        {"ngf": 6},
    ],
)
def test_each_knob_of_the_generator_changes_it(knob):
    plain, before = drawn(small())
    changed, after = drawn(small(**knob))
    shapes = [{n: p.shape for n, p in m.named_parameters()} for m in (plain, changed)]
    assert shapes[0] != shapes[1] or not torch.equal(before, after)


def test_attention_begins_as_nothing_and_then_acts():
    generator, before = drawn(small(attention="innermost"))
    for attention in generator.attention.values():
        nn.init.ones_(attention.gate)
        nn.init.normal_(attention.value.weight, std=5.0)
    assert not torch.allclose(before, drawn_again(generator), atol=1e-4)


def drawn_again(generator):
    x = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    return generator(x * 2 - 1, torch.tensor([0, 1]))


def test_the_style_changes_what_is_drawn():
    generator, _ = drawn(small())
    x = torch.rand(1, 1, 64, 64).expand(2, -1, -1, -1)
    first, second = generator(x, torch.tensor([0, 1]))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("knob", [{"norm_d": "instance"}, {"spectral_d": True}])
def test_each_knob_of_the_discriminator_changes_it(knob):
    x = torch.rand(2, 1, 64, 64)
    found = []
    for recipe in (small(), small(**knob)):
        torch.manual_seed(0)
        found.append(Discriminator(recipe)(x, x).real)
    assert not torch.allclose(*found)


def test_presets_are_recipes_and_come_back_from_flat_values():
    for recipe in PRESETS.values():
        assert made(recipe.flat()) == recipe


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"size": 100}, "size"),
        ({"source": "a.ttf"}, "give source and target"),
        ({"size": 128}, "64 px"),
        ({"shuffled_labels": True}, "several target fonts"),
        ({"lambda": 1}, "unknown key 'lambda'"),
    ],
)
def test_a_recipe_that_is_none_is_said_in_one_line(values, said):
    with pytest.raises(ValueError, match=said) as error:
        made(values)
    assert "\n" not in str(error.value)
