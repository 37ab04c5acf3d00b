"""What a treatment may change is found in what a run has recorded."""

import pytest

from unstuck.flags import count_in
from unstuck.records import Run
from unstuck.signals.inventory import (
    discriminators,
    discriminators_optimizers,
    generators_optimizers,
    optimizers,
    optimizers_of,
    part,
    parts,
)

GAME = Run.of(
    facts={"parameters/painter": 9, "parameters/judge": 9},
    lr__one=[1e-3],
    lr__two=[1e-3],
    lr__two__1=[1e-3],
    real__judge__spread=[0.3],
    grad_norm__one=[1.0],
    **{"grad_norm__one__judge.0": [1.0], "grad_norm__two__painter.3": [1.0]},
    loss__d_loss=[1.0],
    loss__g_loss=[1.0],
)
PLAIN = Run.of(facts={"parameters/net": 9}, lr__adam=[1e-3], loss__train=[1.0])


def test_optimizers_are_told_without_their_groups():
    assert optimizers(GAME) == ["one", "two"]


def test_sides_of_a_game_are_told_by_what_is_trained_not_only_by_names():
    assert discriminators(GAME) == ["judge"]
    assert discriminators_optimizers(GAME) == ["one"] and generators_optimizers(GAME) == ["two"]
    assert generators_optimizers(PLAIN) == []


@pytest.mark.parametrize(
    "where, expected",
    [
        ("two/1", ["two"]),
        ("judge", ["one"]),
        ("painter.3", ["two"]),
        ("loss/d_loss", ["one"]),
        ("loss/g_loss", ["two"]),
        ("nowhere", ["one", "two"]),
    ],
)
def test_the_optimizer_a_finding_is_about(where, expected):
    assert optimizers_of(GAME, where) == expected


def test_parts_of_models():
    assert part(GAME, "judge.0") == "judge.0" and part(GAME, "judged") == ""
    assert part(PLAIN, "metric/val/accuracy") == "net"
    assert parts(GAME, "adam") == ["judge", "painter"] and parts(Run.of(), "net") == []


def test_counts_of_a_recipe():
    recipe = {"lr": 0.1, "val_batch_size": 9, "train_bs": 8, "num_workers": 0, "n_embd": 64}
    assert count_in(recipe, "batch") == ("train_bs", 8)
    assert count_in(recipe, "workers") == ("num_workers", 0)
    assert count_in(recipe, "width") == ("n_embd", 64)
    assert count_in({"batch_size": True, "bs": 0, "batch": "all"}, "batch") is None
