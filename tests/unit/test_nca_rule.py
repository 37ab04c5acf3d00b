"""Rules of automata: the fast form is the usual one, and levels and crops fit together."""

import itertools

import pytest
import torch

from unstuck.cases.nca.automaton import Automaton, parameters, window
from unstuck.cases.nca.measures import kept_bytes
from unstuck.cases.nca.recipe import Recipe, made
from unstuck.cases.nca.rule import Rule, alive, plain

OPTIONS = {
    "kernels": ("sobel", "laplacian"),
    "padding": ("zeros", "circular", "replicate"),
    "scales": (1, 2),
    "global_grid": (0, 4),
    "alive": (True, False),
    "segment": (0, 2),
}


def rule_of(given=0, **changes):
    torch.manual_seed(0)
    rule = Rule(Recipe(**changes), given)
    torch.nn.init.normal_(rule.act.weight, std=0.02)
    return rule


@pytest.mark.parametrize("given", [0, 3])
@pytest.mark.parametrize("values", list(itertools.product(*OPTIONS.values()))[::3], ids=str)
def test_the_fast_form_is_the_usual_one(values, given):
    rule = rule_of(given, leak=0.1, **dict(zip(OPTIONS, values, strict=True)))
    state = torch.rand(2, 16, 12, 12)
    told = torch.rand(2, 3, 12, 12) if given else None
    found = []
    for form in (rule, lambda *words: plain(rule, *words)):
        torch.manual_seed(1)
        rule.zero_grad()
        state.grad = None
        state.requires_grad_()
        end = form(state, told, 5)
        end.square().sum().backward()
        found.append((end.detach(), state.grad.clone(), rule.think.weight.grad.clone()))
    for fast, usual in zip(*found, strict=True):
        torch.testing.assert_close(fast, usual, rtol=1e-3, atol=1e-4)


def test_it_has_as_many_parameters_as_published_and_begins_with_no_change():
    model = Automaton(Recipe(), 4, 0)
    assert parameters(model) == 48 * 128 + 128 + 128 * 16 == 8320
    state = torch.zeros(1, 16, 9, 9)
    state[:, 3:, 4, 4] = 1
    assert torch.equal(model(state, steps=3)[0], state)


def test_only_cells_near_life_live():
    state = torch.zeros(1, 16, 9, 9)
    state[:, 3, 4, 4] = 0.2
    assert alive(state).sum() == 9
    state[:, 3, 4, 4] = 0.1
    assert not alive(state).any()


def test_another_number_of_given_channels_is_refused():
    with pytest.raises(ValueError, match="given 0 channels, and was made for 3"):
        rule_of(3)(torch.rand(1, 16, 8, 8))


def test_a_checkpointed_rollout_keeps_a_fraction():
    def kept(segment):
        rule = rule_of(segment=segment)
        return kept_bytes(lambda: rule(torch.rand(1, 16, 32, 32), None, 96))

    assert kept(8) < 0.25 * kept(0)


def test_a_level_begins_with_what_the_coarser_one_came_to():
    model = Automaton(Recipe(levels=3, alive=False, fire=1.0), 4, 0)
    states = tuple(torch.rand(2, 16, side, side) for side in model.sides(16))
    fresh = torch.tensor([True, False])
    found = model(*states, steps=1, fresh=fresh)
    up = torch.nn.functional.interpolate(found[0], scale_factor=2.0, mode="bilinear")
    assert torch.equal(found[1][0], up[0]) and torch.equal(found[1][1], states[1][1])


def test_crops_of_finer_levels_lie_where_the_whole_has_them():
    recipe = Recipe(levels=3, alive=False, fire=1.0, handed=True, size=64, patch=16, leak=0.1)
    torch.manual_seed(0)
    model = Automaton(recipe, 4, 2)
    for rule in model.rules:
        torch.nn.init.normal_(rule.act.weight, std=0.02)
    given = torch.rand(3, 2, 64, 64)
    corners = torch.tensor([[0, 0], [20, 31], [48, 48]])
    origins = model.origins(corners, 64)
    whole = model(*(torch.zeros(3, 16, s, s) for s in (16, 32, 64)), given=given, steps=2)
    crops = model(*[torch.zeros(3, 16, 16, 16)] * 3, given=given, steps=2, origins=origins)
    assert torch.equal(origins[-1], corners) and torch.equal(crops[0], whole[0])
    for crop, all_, origin in zip(crops[1:], whole[1:], origins[1:], strict=True):
        there = window(all_, origin, 16)  # nothing from the crop's border has come this far
        torch.testing.assert_close(crop[..., 7:9, 7:9], there[..., 7:9, 7:9])


def test_a_canvas_that_cannot_be_divided_is_refused_with_one_that_can():
    model = Automaton(Recipe(levels=4, alive=False), 4, 0)
    with pytest.raises(ValueError, match=r"60 cannot be divided by the coarse factor 8.*take 64"):
        model.sides(60)


def test_a_decoder_reads_pictures_finer_than_its_cells():
    model = Automaton(Recipe(decoder=4, alive=False), 4, 0)
    assert model.sides(32) == [8]
    assert model.read((torch.rand(2, 16, 8, 8),)).shape == (2, 4, 32, 32)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps_least": 5, "steps_most": 4}, "less than steps_least"),
        ({"patch": 96}, "larger than the canvas"),
        ({"picture": 96}, "larger than the canvas"),
        ({"pool": 4}, "less than a batch"),
        ({"patch": 24, "margin": 12}, "leaves nothing"),
        ({"decoder": 2}, "alive=false"),
        ({"fire_rate": 1}, "unknown key 'fire_rate'"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_in_one_line(changes, says):
    with pytest.raises(ValueError, match=says) as told:
        made(changes)
    assert "\n" not in str(told.value)
