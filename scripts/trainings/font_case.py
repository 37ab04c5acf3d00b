"""Fonts drawn by the zi2zi case: the repaired form, the reported one, and faults of the former."""

from trainings import healthy, sick
from unstuck.cases.zi2zi.faults import FAULTS
from unstuck.cases.zi2zi.recipe import PRESETS, Recipe
from unstuck.cases.zi2zi.study_arms import SMALL
from unstuck.cases.zi2zi.train import train


def form(fault: str = "") -> None:
    changes = FAULTS[fault][0] if fault else {}
    train(Recipe().flat() | dict(SMALL) | dict(changes), seed=0)


@healthy
def font_drawn():
    form()


@healthy
def font_drawn_without_a_game():
    train(Recipe().flat() | dict(SMALL) | {"lambda_adv": 0.0}, seed=0)


@sick("ADV001")
def font_drawn_as_reported():
    train(PRESETS["reported"].flat() | dict(SMALL), seed=0)


@sick("OPT011")
def font_drawn_with_broken_accumulation():
    form("broken-accumulation")


@sick("OPT015")
def font_drawn_against_a_frozen_discriminator():
    form("frozen-discriminator")


@sick("DAT003")
def font_drawn_beside_its_targets():
    form("misregistered-target")


@sick("LOS004")
def font_drawn_with_kinds_on_one_side():
    form("asymmetric-category")


@sick("GRD004")
def font_drawn_with_a_detached_term():
    form("detached-const")


@sick("LOS001")
def font_drawn_for_deep_features():
    form("heavy-perceptual")
