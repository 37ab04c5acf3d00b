"""Single faults of the repaired forms, and what can be tried on a sick one."""

from collections.abc import Mapping

from unstuck import Treatment
from unstuck.cases.nca.recipe import PRESETS, Scalar

Changes = Mapping[str, Scalar]

# the growing task at a size that many runs can pay for
GROWING: Changes = {
    **PRESETS["grow-baseline64"].flat(),
    "size": 24,
    "picture": 14,
    "steps_least": 20,
    "steps_most": 28,
    "hidden": 64,
    "pool": 64,
    "batch_size": 4,
    "damaged": 1,
    "iterations": 400,
    "drop_at": 250,
    "probed": True,
}
# one rule for flow on small whole canvases, as a change of `GROWING`
FLOWING: Changes = {
    **PRESETS["flow-repaired"].flat(),
    "size": 24,
    "patch": 0,
    "margin": 0,
    "levels": 1,
    "steps_least": 4,
    "steps_most": 6,
    "pool": 32,
    "held_out": 16,
    "iterations": 400,
}
# a flow that depends on the place, which is told
SHEARED: Changes = {
    **FLOWING,
    "shear": 8.0,
    "padding": "circular",
    "coordinates": "true",
    "domains": 256,
    "probed": True,
}
# a large pool, some of which cannot be learnt: the worst begin anew
MINED: Changes = {
    **FLOWING,
    "broken": 0.2,
    "steps_least": 8,
    "steps_most": 12,
    "pool": 512,
    "reseeded": 8,
    "renewal": 0.0,
    "gate": 0.0,
    "domains": 512,
    "iterations": 600,
}
# two pictures whose seeds are told apart with ease, and as by a hair without a pool
TWO: Changes = {
    "image": "lizard,watermelon",
    "steps_least": 32,
    "steps_most": 48,
    "iterations": 600,
    "drop_at": 400,
}
HAIR: Changes = {
    **TWO,
    "iterations": 800,
    "drop_at": 500,
    "apart": 0.1,
    "pool": 0,
    "damaged": 0,
    "reseeded": 0,
    "alive": False,
    "fire": 1.0,
    "steps_least": 24,
    "steps_most": 24,
    "lasting": False,
}
KEYHOLE: Changes = {
    "image": "watermelon",
    "size": 72,
    "picture": 64,
    "patch": 16,
    "coordinates": "true",
    "hidden": 128,
    "steps_least": 10,
    "steps_most": 14,
    "pool": 0,
    "batch_size": 8,
    "iterations": 1500,
    "drop_at": 1000,
}

# name -> (change of `GROWING`, codes a correct diagnosis names first)
FAULTS: Mapping[str, tuple[Changes, tuple[str, ...]]] = {
    "short-rollouts": (
        {"steps_least": 3, "steps_most": 4, "reseeded": 4, "damaged": 0},
        ("CTX001",),
    ),
    "keyhole-patches": (KEYHOLE, ("CTX002",)),
    "no-pool": ({"pool": 0}, ("CTX006",)),
    "polluted-pool": ({**MINED, "reseeds": "best"}, ("CTX004",)),
    "blind-to-places": ({**SHEARED, "coordinates": "none"}, ("CTX003",)),
    "seeds-apart-by-a-hair": (HAIR, ("CTX005",)),
}

_REPAIRED, _REPORTED = PRESETS["flow-repaired"].flat(), PRESETS["flow-reported"].flat()

TREATMENTS: tuple[Treatment, ...] = (
    Treatment(
        "longer-rollouts",
        "raise-horizon",
        {"steps_least": 20, "steps_most": 28},
        "no error is left beyond the horizon",
        ("CTX001",),
    ),
    Treatment(
        "coarse-to-fine",
        "use-whole-canvas",
        {key: _REPAIRED[key] for key in _REPAIRED if _REPAIRED[key] != _REPORTED[key]},
        "the error of the whole canvas falls to that of its crops",
        ("CTX002",),
    ),
    Treatment(
        "pool",
        "use-sample-pool",
        {"pool": 64, "reseeded": 1},
        "the error at four times the steps stays near that at their end",
        ("CTX006",),
    ),
    Treatment(
        "renew-the-worst",
        "drop-failed-samples",
        {"ranked": False, "reseeds": "worst", "reseeded": 2, "gate": 3.0},
        "the pool's median falls with the loss",
        ("CTX004",),
    ),
    Treatment(
        "coordinates",
        "add-coordinates",
        {"coordinates": "true"},
        "what the place alone explains is learnt",
        ("CTX003",),
    ),
    Treatment(
        "seeds-apart",
        "use-varied-seeds",
        {"apart": 1.0, "pool": 64, "reseeded": 1, "damaged": 1, "fire": 0.5, "alive": True},
        "what is built survives a small change of the seed",
        ("CTX005",),
    ),
)
