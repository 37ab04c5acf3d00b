"""One update of both networks: terms reach what they should, accumulation is the large batch."""

import dataclasses
import os

import pytest
import torch

from unstuck.cases.zi2zi.balance import adversarial_weight
from unstuck.cases.zi2zi.game import Batch, Game
from unstuck.cases.zi2zi.losses import (
    adversarial_term,
    augmented,
    discriminator_term,
    gradient_penalty,
    right,
)
from unstuck.cases.zi2zi.reach import unreached
from unstuck.cases.zi2zi.recipe import Recipe

SMALL = {"ngf": 4, "ndf": 4, "dropout": 0.0, "perceptual": 0.0, "category": 1.0, "const": 15.0}


def batch(n, seed=0):
    lots = torch.Generator().manual_seed(seed)
    source, target = torch.rand(2, n, 1, 64, 64, generator=lots) * 2 - 1
    styles = torch.zeros(n, dtype=torch.long)
    moves, holes = torch.rand(2, 4, n, 2, generator=lots)
    return Batch(source, target, styles, styles, moves, holes)


def parts(whole, size):
    rows = torch.arange(len(whole)).split(size)
    return [
        Batch(
            *(getattr(whole, name)[i] for name in ("source", "target", "styles", "other_styles")),
            whole.moves[:, i],
            whole.holes[:, i],
        )
        for i in rows
    ]


def after(updates, **knobs):
    """Both networks after one update from each list of micro-batches."""
    torch.manual_seed(0)
    game = Game(Recipe(**SMALL | knobs), 100)
    game.generator.double()
    game.discriminator.double()
    game.average.double()
    for batches in updates:
        game.update([in_double(b) for b in batches])
    return game


def in_double(b):
    floats = {name: getattr(b, name).double() for name in ("source", "target", "moves", "holes")}
    return Batch(styles=b.styles, other_styles=b.other_styles, **floats)


def weights(game):
    networks = (game.generator, game.discriminator)
    return torch.cat([p.detach().flatten() for n in networks for p in n.parameters()])


@pytest.mark.parametrize("gan", ["vanilla", "hinge", "relativistic"])
@pytest.mark.parametrize("diffaugment", [False, True])
def test_accumulated_updates_are_those_of_the_large_batch(gan, diffaugment):
    knobs = {"gan": gan, "diffaugment": diffaugment, "r1": 1.0, "r2": 1.0, "lazy": 2}
    wholes = [batch(8, seed) for seed in range(3)]
    large = after([[w] for w in wholes], batch_size=8, **knobs)
    small = after([parts(w, 2) for w in wholes], batch_size=2, accumulation=4, **knobs)
    assert torch.allclose(weights(large), weights(small), rtol=0, atol=1e-6)
    assert large.said == pytest.approx(small.said, abs=1e-6)
    start = after([], **knobs)
    for name in ("generator", "discriminator"):
        pairs = zip(
            getattr(start, name).named_parameters(), getattr(small, name).parameters(), strict=True
        )
        still = [n for (n, before), now in pairs if torch.equal(before, now)]
        assert all(n.endswith("bias") or "style" in n for n in still), still


def test_broken_accumulation_never_trains_the_discriminator():
    knobs = {"batch_size": 2, "accumulation": 4, "broken_accumulation": True}
    start, game = after([], **knobs), after([parts(batch(8), 2)], **knobs)
    moved = [
        not torch.equal(a, b)
        for name in ("generator", "discriminator")
        for a, b in [
            (torch.cat([p.flatten() for p in getattr(g, name).parameters()]) for g in (start, game))
        ]
    ]
    assert moved == [True, False]


def test_a_frozen_discriminator_stays_as_it_was():
    start, game = after([]), after([[batch(2)]], frozen_discriminator=True)
    for a, b in zip(start.discriminator.parameters(), game.discriminator.parameters(), strict=True):
        assert torch.equal(a, b)
    assert game.said["d_loss"] > 0


@pytest.mark.parametrize(
    "knobs",
    [
        {"l1": 50.0},
        {"identity": 5.0},
        {"const": 0.0},
        {"const_kind": "pooled"},
        {"const_detached": True},
        {"category": 0.0},
        {"category_d": 0.1},
        {"lambda_adv": 0.0},
        {"balance": "scheduled"},
        {"balance": "dynamic"},
        {"smoothing": 0.1, "gan": "vanilla"},
        {"r1": 9.0},
        {"r2": 9.0},
        {"lazy": 2},
        {"feature_matching": 5.0},
        {"lr_g": 1e-4},
        {"lr_d": 1e-4},
        {"beta1": 0.0},
        {"d_steps": 2},
        {"d_every": 2},
        {"schedule": "none"},
        {"diffaugment": True},
        {"frozen_category": 1},
        {"amp": True},
    ],
)
def test_every_knob_of_an_update_acts(knobs):
    updates = [[batch(4, seed)] for seed in range(3)]
    base = {"gan": knobs["gan"]} if "gan" in knobs else {}
    assert not torch.equal(weights(trained(updates, **base)), weights(trained(updates, **knobs)))


def trained(updates, **knobs):
    torch.manual_seed(0)
    game = Game(Recipe(**SMALL | {"lambda_adv": 1.0, "batch_size": 4, "epochs": 2} | knobs), 20)
    for batches in updates:
        game.update(batches)
    return game


def test_the_const_term_reaches_the_decoder_unless_what_was_drawn_is_detached():
    def decoder(detached):
        torch.manual_seed(0)
        only = {"l1": 0.0, "category": 0.0, "lambda_adv": 0.0, "const_detached": detached}
        game = Game(Recipe(**SMALL | only), 10)
        game._generator_terms(batch(2), None)["const_loss"].backward()
        return sum(
            0.0 if p.grad is None else float(p.grad.abs().sum())
            for p in game.generator.up.parameters()
        )

    assert decoder(False) > 0
    assert decoder(True) == 0


def test_the_average_follows_the_generator():
    game = trained([[batch(4)]] * 3, ema=0.9)
    own, average = (
        torch.cat([p.flatten() for p in m.parameters()]) for m in (game.generator, game.average)
    )
    start = torch.cat([p.flatten() for p in trained([]).generator.parameters()])
    assert 0 < (average - own).norm() < (start - own).norm()


def test_dynamic_weights_are_the_notes():
    recipe = Recipe(balance="dynamic")
    found = [adversarial_weight(recipe, 0.5, d) for d in (0.019, 0.02, 0.08, 0.2, 3.0)]
    assert found == [0.2, 0.35, 0.5, 0.6, 0.6]
    scheduled = Recipe(balance="scheduled")
    assert [adversarial_weight(scheduled, d, 1.0) for d in (0, 0.5, 1.0)] == [0.1, 0.3, 0.5]


def test_terms_are_those_of_the_papers():
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [1.0]])
    vanilla = torch.log1p(torch.exp(-real)).mean() + torch.log1p(torch.exp(fake)).mean()
    assert discriminator_term(real, fake, "vanilla") == pytest.approx(float(vanilla))
    assert discriminator_term(real, fake, "hinge") == pytest.approx((0 + 2) / 2 + (1.5 + 2) / 2)
    paired = torch.log1p(torch.exp(fake - real)).mean()
    assert discriminator_term(real, fake, "relativistic") == pytest.approx(float(paired))
    assert adversarial_term(real, fake, "hinge") == pytest.approx(-0.75)
    assert right(real, fake, "vanilla") == pytest.approx(0.25)
    assert right(torch.tensor([[5.0], [6.0]]), torch.tensor([[4.0], [3.0]]), "relativistic") == 1


def test_the_penalty_is_the_squared_slope():
    x = torch.rand(3, 1, 4, 4, requires_grad=True)
    slope = torch.rand(1, 1, 4, 4)
    scores = (x * slope).sum((1, 2, 3))[:, None]
    assert gradient_penalty(scores, x) == pytest.approx(float(slope.square().sum()), rel=1e-5)


def test_augmentation_moves_both_halves_of_a_pair_alike_and_lets_gradients_through():
    x = torch.rand(5, 1, 64, 64).repeat(1, 2, 1, 1).requires_grad_()
    moves, holes = torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(0))
    found = augmented(x, moves, holes)
    assert torch.equal(found[:, 0], found[:, 1])
    assert not torch.equal(found, x)
    found.sum().backward()
    assert 0 < (x.grad == 1).float().mean() < 1


def test_shuffled_labels_draw_a_second_style_that_no_picture_compares():
    """Their terms are those of the game and const; without a game they have nothing to say."""
    two = {"source": "a.ttf", "target": os.pathsep.join(("b.ttf", "c.ttf"))}
    b = batch(4)
    b = dataclasses.replace(b, other_styles=1 - b.styles)
    paired, both = (
        after([[b]], batch_size=4, shuffled_labels=shuffled, **two) for shuffled in (False, True)
    )
    terms = {"cheat_loss", "category_loss", "const_loss"}
    assert both.said.keys() - paired.said.keys() == {f"other_{name}" for name in terms}
    assert both.said["l1_loss"] == paired.said["l1_loss"]
    assert both.said["other_category_loss"] != both.said["category_loss"]
    assert not torch.equal(weights(both), weights(paired))


def test_a_term_that_does_not_reach_the_decoder_is_told():
    states = []
    for detached in (False, True):
        game = after([], const_detached=detached, identity=1.0)
        before = torch.get_rng_state()
        found = unreached(game, in_double(batch(4)))
        states.append(torch.equal(before, torch.get_rng_state()))
        assert found.keys() == {"l1_loss", "const_loss", "identity_loss"}
        assert found["l1_loss"] == found["identity_loss"] == 0
        assert (found["const_loss"] > 0.3) == detached and found["const_loss"] < 0.9
        assert all(p.grad is None for p in game.generator.parameters())
    assert all(states)
