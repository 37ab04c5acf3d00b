"""Automata trained by the nca case: both tasks, and faults of the growing one."""

from trainings import healthy, sick
from unstuck.cases.nca.faults import FAULTS, GROWING
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


@sick("CTX001")
def automaton_grown_in_short_rollouts():
    form("short-rollouts")


@sick("CTX002")
def automaton_grown_on_crops():
    form("keyhole-patches")


@sick("CTX006")
def automaton_grown_without_a_pool():
    form("no-pool")
