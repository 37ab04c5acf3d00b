"""What a plan costs, said before its first run."""

import math

from unstuck.records import Plan
from unstuck.trials.power import detectable, expected_pairs

MOST_FORECAST = 50  # pairs for which the course of a trial is simulated: some tenths of a second
LOOKS = 1.07  # an effect must be so much larger to be seen by looks as by one test (power.py)
MOST_TOLD = 20.0  # standard deviations: plans that see no less say nothing of it
CLEAR = 2.0  # standard deviations: an effect that anybody would see in a picture of the pairs


def cost_of(plan: Plan) -> str:
    """Runs, how many of them where effects are clear, and the effect the plan can see.

    Effects are in standard deviations of the difference between the runs of a pair.
    """
    arms, seeds = len(plan.treatments) + 1, len(plan.seeds)
    told = f"{arms} arms x {seeds} seed{'s' * (seeds != 1)} = {arms * seeds} runs"
    alpha = (1 - plan.confidence) / len(plan.treatments)  # Holm's hardest
    if plan.stop_early and 1 < seeds <= MOST_FORECAST:
        pairs = math.ceil(expected_pairs(seeds, CLEAR, alpha))
        if pairs < seeds:
            told += f", about {arms * pairs} where effects are {CLEAR:g} sd"
    least = detectable(seeds, alpha) * (LOOKS if plan.stop_early else 1.0)
    if least <= MOST_TOLD:
        told += f"; effects from {least:.2g} sd of a pair's difference are seen with 80 % power"
    return told
