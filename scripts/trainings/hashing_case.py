"""Emoji and their words hashed by the agch case: the repaired form, and each of its faults."""

from trainings import healthy, sick
from unstuck.cases.agch.faults import FAULTS
from unstuck.cases.agch.recipe import Recipe
from unstuck.cases.agch.train import train


def form(fault: str = "") -> None:
    changes = FAULTS[fault][0] if fault else {}
    train(Recipe().flat() | dict(changes), seed=0)


@healthy
def emoji_hashed():
    form()


@sick("COL001")
def emoji_hashed_by_their_first_signs():
    form("collapsed-codes")


@sick("COL002")
def emoji_hashed_to_idle_bits():
    form("unbalanced-bits")


@sick("COL003")
def emoji_hashed_near_zero():
    form("unquantised-codes")


@sick("COL005")
def emoji_hashed_with_words_of_others():
    form("misaligned-modalities")


@sick("COL006")
def emoji_hashed_after_positive_targets():
    form("miscalibrated-targets")


@sick("GRD003")
def emoji_hashed_beside_an_idle_graph():
    form("inert-branch")


@sick("DAT002")
def emoji_hashed_with_faint_words():
    form("sparse-input")


@sick("OPT016")
def emoji_hashed_at_a_rate_that_stays():
    form("unstepped-schedule")
