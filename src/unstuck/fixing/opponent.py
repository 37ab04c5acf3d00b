"""Random search as an opponent: the same knobs, as many runs in search, the same confirmation.

Each draw turns one to three knobs and is run once, on the race's first seed; the best of them, if
it is better than the untreated script on that seed, is confirmed on the same fresh seeds.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from unstuck.fixed import Confirmation, Opponent, Race, Yardstick
from unstuck.fixing.ranks import Worth
from unstuck.fixing.yardstick import comparable
from unstuck.records import Plan, Run, Treatment, Trial
from unstuck.trials.knobs import Knob, knobs_of, random_treatment
from unstuck.trials.plan import BASELINE

SEED = 0  # of the draws
MOST_DRAWS = 50  # for each treatment wanted: many draws cannot be compared, or come twice


def searched(
    run: Run,
    race: Race,
    yardstick: Yardstick,
    worth_by: Callable[[Plan], Worth],
    search: Callable[[Sequence[Treatment], Sequence[int]], Trial],
    confirm: Callable[[Treatment], Confirmation],
) -> Opponent:
    """Spend as many runs as the race did, one of them on the untreated script."""
    drawn = draws(knobs_of(run), race.runs - 1, yardstick)
    if not drawn:
        return Opponent(0, 0, 0.0, None, "there is nothing to turn that could be compared")
    trial = search(drawn, race.seeds[0][:1])
    worth = worth_by(trial.plan)
    found = {o.arm: worth(o) for o in trial.outcomes}
    seconds = sum(o.seconds for o in trial.outcomes)
    best = max(drawn, key=lambda t: found.get(t.name, -math.inf))
    if not found.get(best.name, -math.inf) > found.get(BASELINE, -math.inf):
        note = "no draw was better than the untreated script"
        return Opponent(len(drawn), len(trial.outcomes), seconds, None, note)
    return Opponent(len(drawn), len(trial.outcomes), seconds, confirm(best))


def draws(knobs: Sequence[Knob], count: int, yardstick: Yardstick) -> tuple[Treatment, ...]:
    """So many different random treatments that can be judged; fewer where there are fewer."""
    if not knobs:
        return ()
    rng = np.random.default_rng(SEED)
    found: dict[str, Treatment] = {}
    for _ in range(MOST_DRAWS * count):
        if len(found) == count:
            break
        treatment = random_treatment(knobs, rng)
        if yardstick.kind == "none" or comparable(yardstick, treatment):
            found.setdefault(treatment.name, treatment)
    return tuple(found.values())
