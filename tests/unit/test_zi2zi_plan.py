"""What a training needs of a card: counted without numbers, and the same with them."""

import pytest
import torch

from unstuck.cases.zi2zi import plan_memory
from unstuck.cases.zi2zi.game import Batch, Game
from unstuck.cases.zi2zi.recipe import PRESETS, Recipe

SMALL = Recipe(ngf=8, ndf=8, perceptual=0.0, const=15.0, category=1.0)
FULL = {"source": "a", "target": "b", "size": 384, "ngf": 64, "ndf": 64}


def kept_by(recipe, n):
    """Bytes that autograd saves in a generator's update of real tensors, each storage once."""
    torch.manual_seed(0)
    game = Game(recipe, 1)
    source, target = torch.rand(2, n, 1, 64, 64)
    styles = torch.zeros(n, dtype=torch.long)
    moves, holes = torch.rand(2, 4, n, 2)
    networks = (game.generator, game.discriminator)
    game.discriminator.requires_grad_(False)
    weights = {p.untyped_storage().data_ptr() for m in networks for p in m.parameters()}
    found, held = {}, []

    def save(tensor):
        held.append(tensor)
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda x: x):
        terms = game._generator_terms(Batch(source, target, styles, styles, moves, holes), None)
    assert terms
    return sum(size for place, size in found.items() if place not in weights)


def test_a_pair_costs_what_autograd_keeps_of_it():
    each = kept_by(SMALL, 5) - kept_by(SMALL, 4)
    counted = [
        sum(plan_memory._kept(SMALL.model_copy(update={"batch_size": n}))[1].values())
        for n in (4, 5)
    ]
    assert counted[1] - counted[0] == pytest.approx(each, rel=0.04)
    assert plan_memory.plan(SMALL).each >= 0.96 * each  # the discriminator's update may keep more


def test_standing_memory_is_that_of_the_parameters():
    full = Recipe(**PRESETS["reported"].flat() | FULL)
    networks = 52_874_950, 4_412_266
    assert plan_memory.plan(full).standing >= 4 * (5 * networks[0] + 4 * networks[1])
    assert plan_memory.plan(full).standing < 4.4 * (5 * networks[0] + 4 * networks[1])


def test_less_precision_and_width_need_less():
    plain = SMALL.model_copy(update={"r1": 0.0, "r2": 0.0})  # penalties are paid in float32
    found = {
        name: plan_memory.plan(plain.model_copy(update=changes)).each
        for name, changes in {
            "plain": {},
            "amp": {"amp": True},
            "half": {"ngf": 4, "ndf": 4},
        }.items()
    }
    assert found["amp"] < 0.9 * found["plain"]
    assert found["half"] < 0.7 * found["plain"]


def test_the_largest_batch_leaves_the_reserve():
    found = plan_memory.Plan(standing=1e9, each=1e8, layers={})
    assert found.largest(10e9) == 80
    assert found.largest(1e9) == 0
    assert found.needs(80) == pytest.approx(9e9)


def test_the_command_says_what_fits(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert plan_memory.main(["--preset", "tiny", "--card", "1", "--batch", "100000"]) == 0
    said = capsys.readouterr().out
    assert "largest batch on 1 GB:" in said and "--set accumulation=" in said
    for card in ("-1", "inf", "nan"):
        assert plan_memory.main(["--card", card]) == 2
        assert "--card takes GB above 0" in capsys.readouterr().err
