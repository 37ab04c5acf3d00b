"""Which losses play a game, which layers belong together, which term did it."""

import pytest

from unstuck import Run
from unstuck.signals.games import (
    discriminator_losses,
    generator_losses,
    is_discriminators_optimizer,
    is_reinforcement,
    lone_losses,
)
from unstuck.signals.layers import layers_of
from unstuck.signals.names import shown, where_of
from unstuck.signals.terms import fallen_term, pulling_term, terms_by_loss


@pytest.mark.parametrize(
    "name",
    [
        "d_loss", "loss_d", "lossD", "D_loss", "errD", "errD_real", "err_D", "loss_D", "disc_loss",
        "loss_disc", "critic_loss", "dis_loss", "netD_loss", "discriminator_loss", "total_d_loss",
        "d_loss_fake", "critic", "lossDiscriminator",
    ],
)  # fmt: skip
def test_names_of_discriminators(name):
    run = Run.of(**{f"loss/{name}": [1.0, 1.0], "loss/other": [1.0, 1.0]})
    assert [s.name for s in discriminator_losses(run)] == [f"loss/{name}"]
    assert [s.name for s in generator_losses(run)] == ["loss/other"]
    assert lone_losses(run) == []


@pytest.mark.parametrize(
    "name",
    ["loss", "g_loss", "distill_loss", "loss_distance", "depth_loss", "dice_loss", "loss_dice",
     "discount", "train_loss", "id_loss", "loss_cd", "decoder_loss", "domain_loss", "reward_d"],
)  # fmt: skip
def test_names_of_other_losses(name):
    run = Run.of(**{f"loss/{name}": [1.0, 1.0], "loss/other": [1.0, 1.0]})
    assert discriminator_losses(run) == [] and len(lone_losses(run)) == 2


def test_a_lone_critic_and_an_actors_critic_play_no_game():
    assert discriminator_losses(Run.of(loss__d_loss=[1.0])) == []
    actor = Run.of(loss__actor_loss=[1.0], loss__critic_loss=[1.0])
    assert discriminator_losses(actor) == [] and lone_losses(actor) == []


def test_a_role_is_believed_before_a_name():
    run = Run.of(loss__a=[1.0], loss__d_loss=[1.0])
    run = Run(run.series, roles={"loss/a": "discriminator", "loss/d_loss": "generator"})
    assert [s.name for s in discriminator_losses(run)] == ["loss/a"]


def test_optimizers_of_discriminators():
    assert all(map(is_discriminators_optimizer, ["optimizer_D", "optD", "d_opt", "critic"]))
    assert not any(map(is_discriminators_optimizer, ["optimizer", "adam", "optimizerG", "sched"]))


def test_layers_stay_in_the_order_they_were_recorded_in():
    names = ["grad_norm/o/net.b", "grad_norm/o/net.a", "grad_norm/o", "grad_norm/o/other.x"]
    run = Run.of(**{name: [1.0] for name in names})
    found = layers_of(run, "grad_norm")
    assert {model: list(layers) for model, layers in found.items()} == {
        "net": ["net.b", "net.a"],
        "other": ["other.x"],
    }
    run = Run.of(**{"activation/net.a/std": [1.0], "activation/net.a/mean": [2.0]})
    assert layers_of(run, "activation", "std")["net"]["net.a"].value.tolist() == [1.0]


@pytest.mark.parametrize(("left", "fell"), [(0.01, True), (0.05, True), (0.08, False)])
def test_the_term_that_fell_and_the_term_that_pulls(left, fell):
    run = Run.of(
        **{
            "term/loss/a": [1.0] * 5 + [left] * 5,
            "term/loss/b": [1.0] * 5 + [0.9] * 5,
            "latent/z/pull/loss:a": [0.2, 0.3],
            "latent/z/pull/loss:b": [-0.9, -0.9],
        }
    )
    assert [t.name for group in terms_by_loss(run) for t in group] == ["a", "b"]
    assert (fallen_term(run) is not None) == fell and (not fell or fallen_term(run).name == "a")
    assert (pulling_term(run, "z").loss, pulling_term(run, "z").name) == ("loss", "a")
    assert pulling_term(run, "y") is None


def test_names_are_shown_short_and_printable():
    assert shown("x" * 200, 11) == "xxxxx~xxxxx"
    assert shown("a\x1b[31m\nb") == "a?[31m?b"
    assert where_of("activation/net.conv1/std") == "net.conv1"


def test_a_term_of_a_policy_makes_the_run_one_of_reinforcement():
    terms = Run.of(loss__loss=[9.0, 30.0], **{"term/loss/policy_loss": [0.1, 0.1]})
    assert is_reinforcement(terms) and lone_losses(terms) == []
    assert not is_reinforcement(Run.of(loss__loss=[9.0], **{"term/loss/l1": [0.1]}))
