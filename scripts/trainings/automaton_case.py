"""Automata trained by the nca case: both tasks, and their faults."""

from trainings import healthy, sick
from unstuck.cases.nca.faults import FAULTS, GROWING, MINED, SHEARED, TWO
from unstuck.cases.nca.recipe import PRESETS
from unstuck.cases.nca.train import train

FLOW = {
    **PRESETS["flow-repaired"].flat(),
    "size": 48,
    "patch": 12,
    "margin": 3,
    "levels": 4,
    "steps_most": 4,
    "domains": 64,
    "iterations": 400,
}


def form(fault: str = "") -> None:
    train(GROWING | dict(FAULTS[fault][0] if fault else {}), seed=0)


@healthy
def automaton_grown():
    form()


@healthy
def automaton_grown_on_three_levels():
    train({**GROWING, "levels": 3, "handed": True, "steps_least": 8, "steps_most": 12}, seed=0)


@healthy
def flow_around_obstacles_from_coarse_to_fine():
    train(FLOW, seed=0)


@healthy
def two_pictures_grown_from_seeds_far_apart():
    train({**GROWING, **TWO}, seed=0)


@healthy
def sheared_flow_that_knows_its_places():
    train(SHEARED, seed=0)


@healthy
def flow_from_a_pool_whose_worst_begin_anew():
    """A fifth of the directions cannot be learnt."""
    train(MINED, seed=0)


@sick("CTX001")
def automaton_grown_in_short_rollouts():
    form("short-rollouts")


@sick("CTX002")
def automaton_grown_on_crops():
    form("keyhole-patches")


@sick("CTX006")
def automaton_grown_without_a_pool():
    form("no-pool")


@sick("CTX003")
def sheared_flow_without_places():
    form("blind-to-places")


@sick("CTX004")
def flow_from_a_pool_whose_best_begin_anew():
    form("polluted-pool")


@sick("CTX005")
def two_pictures_grown_from_seeds_apart_by_a_hair():
    form("seeds-apart-by-a-hair")
