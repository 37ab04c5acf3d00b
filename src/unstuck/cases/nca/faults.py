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
)
