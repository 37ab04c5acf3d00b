"""Every knob of a watched run can be turned, and random treatments turn them evenly."""

from collections import Counter

import numpy as np
import pytest

from unstuck import Run
from unstuck.changes import parsed
from unstuck.trials.knobs import Knob, knobs_of, random_treatment, sampled


def watched(**more):
    return Run.of(
        lr__opt=[0.1] * 100,
        weight_decay__opt=[0.0] * 100,
        grad_norm__opt=[4.0] * 100,
        term__loss__ce=[1.0] * 100,
        prediction__cross_entropy__recall=[0.5] * 100,
        facts={"parameters/model": 10, "optimizer/opt": "SGD"},
        **more,
    )


def named(run):
    return {knob.change: knob for knob in knobs_of(run)}


def test_a_watched_run_can_be_turned_where_its_remedies_turn_it():
    knobs = named(watched())
    assert knobs["lr/opt"] == Knob("lr/opt", 0.01, 100, log=True, multiple=True)
    assert knobs["warmup/opt"].high == 50
    assert knobs["schedule/opt"].choices == ("constant", "cosine:100", "linear:100")
    assert (knobs["clip/opt"].low, knobs["clip/opt"].high) == (0.04, 40)
    assert {"weight/loss/ce", "label_smoothing/cross_entropy", "initialisation/model"} <= set(knobs)


def test_what_a_run_does_not_have_cannot_be_turned():
    assert knobs_of(Run.of(loss__train=[1.0, 0.5])) == ()
    knobs = named(watched())
    assert not {"freeze/model", "targets/elementwise", "precision/loss", "r1/model"} & set(knobs)


def test_a_discriminator_can_be_penalised_and_one_of_two_models_frozen():
    facts = {"parameters/netD": 5, "parameters/netG": 5}
    knobs = named(Run.of(lr__optimizerD=[0.1], lr__optimizerG=[0.1], facts=facts))
    assert {"r1/netD", "r2/netD", "freeze/netG", "freeze/netD", "lr/optimizerD"} <= set(knobs)
    assert "r1/netG" not in knobs


def test_weight_decay_is_turned_from_where_it_is():
    assert named(watched())["weight_decay/opt"].multiple is False
    decayed = Run.of(lr__opt=[0.1], weight_decay__opt=[0.01])
    assert named(decayed)["weight_decay/opt"].multiple is True


def test_groups_of_one_optimizer_are_one_knob_and_slashes_in_names_are_none():
    run = Run.of(lr__opt=[0.1], lr__opt__1=[0.2], facts={"parameters/a/b": 3})
    names = set(named(run))
    assert "lr/opt" in names
    assert not any(name.startswith(("lr/opt/", "input/")) for name in names)


def test_every_value_of_every_knob_is_a_change_that_can_be_made():
    rng = np.random.default_rng(0)
    facts = {"parameters/netD": 5, "parameters/netG": 5}
    game = Run.of(lr__d=[0.1] * 9, loss_scale__scaler=[1.0], broadcast__l1=[1.0], facts=facts)
    for run in (watched(), game):
        for knob in knobs_of(run):
            for _ in range(50):
                change = parsed({knob.change: sampled(knob, rng)})[knob.change]
                if not knob.choices:
                    assert knob.low * 0.99 <= change.value <= knob.high * 1.01


def test_whole_numbers_are_drawn_evenly_to_the_ends():
    rng = np.random.default_rng(0)
    drawn = Counter(sampled(Knob("interval/opt", 2, 4, whole=True), rng) for _ in range(3000))
    assert set(drawn) == {2, 3, 4}
    assert min(drawn.values()) > 900


def test_random_treatments_repeat_with_their_seed_and_turn_each_kind_as_often():
    knobs = knobs_of(watched(**{f"term__loss__t{i}": [1.0] for i in range(20)}))
    rng = np.random.default_rng(1)
    treatments = [random_treatment(knobs, rng) for _ in range(600)]
    again = np.random.default_rng(1)
    assert treatments == [random_treatment(knobs, again) for _ in range(600)]
    assert {len(t.changes) for t in treatments} == {1, 2, 3}
    turned = Counter(name.split("/")[0] for t in treatments for name in t.changes)
    assert turned["weight"] < 2 * turned["lr"]
    assert all(parsed(t.changes) for t in treatments)


def test_nothing_to_turn_is_said():
    with pytest.raises(ValueError, match="nothing can be turned"):
        random_treatment((), np.random.default_rng(0))
