"""What the study changes of which form, and which changes test which published claim."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from unstuck.cases.nca.faults import FAULTS, GROWING
from unstuck.cases.nca.recipe import PRESETS, Scalar

Changes = Mapping[str, Scalar]

# both forms of the flow at a size that a study of many runs can pay for: crops of 12 of 48 cells
SMALL: Changes = {
    "size": 48,
    "patch": 12,
    "domains": 128,
    "held_out": 16,
    "batch_size": 16,
    "iterations": 400,
    "drop_at": 250,
}
REPORTED: Changes = {**PRESETS["flow-reported"].flat(), **SMALL}
REPAIRED: Changes = {**PRESETS["flow-repaired"].flat(), **SMALL, "margin": 3, "levels": 4}
GROWN: Changes = {
    **PRESETS["grow-reported"].flat(),
    "size": 48,
    "picture": 28,
    "patch": 16,
    "hidden": 64,
    "pool": 64,
    "iterations": 400,
    "drop_at": 250,
}
PATIENT: Changes = {"steps_least": 24, "steps_most": 32}


def differences(base: Changes, other: Changes) -> dict[str, Scalar]:
    """All that makes one form into the other."""
    return {key: other[key] for key in base if other[key] != base[key]}


HYGIENE: Changes = {"ranked": False, "reseeded": 1, "gate": 3.0, "age_limit": 16}
NOTES: Changes = differences(PRESETS["flow-reported"].flat(), PRESETS["flow-notes"].flat())

BLIND: Changes = {**GROWING, **FAULTS["blind-to-places"][0], "probed": False}

# trial -> its baseline, and the arms
TRIALS: Mapping[str, tuple[Changes, Mapping[str, Changes]]] = {
    "alone": (
        REPORTED,
        {
            "coordinates of the crop": {"coordinates": "local"},
            "coordinates of the canvas": {"coordinates": "true"},
            "zeros beyond, a margin not judged": {"padding": "zeros", "margin": 3},
            "rollouts of 24 to 32": PATIENT,
            "rollouts of 40 to 48, checkpointed": {
                "steps_least": 40,
                "steps_most": 48,
                "segment": 8,
            },
            "sizes from a quarter on": {"curriculum": "size"},
            "steps from a quarter on": {"curriculum": "steps"},
            "drawn by lot": {"ranked": False},
            "pool hygiene": HYGIENE,
            "no pool": {"pool": 0},
            "whole canvas": {"patch": 0, "batch_size": 4},
            "whole canvas, rollouts of 24 to 32": {"patch": 0, "batch_size": 4, **PATIENT},
            "a coarse mean is heard": {"global_grid": 4},
            "perception at 1, 2 and 4": {"scales": 3},
            "cells twice as wide, decoded": {"decoder": 2},
            "twice as wide": {"channels": 32, "hidden": 128},
            "a quarter of the rate": {"lr": 5e-4},
            "states fade": {"leak": 0.1},
            "coarse to fine": {"levels": 4, "padding": "zeros", "margin": 3},
            "notes": NOTES,
            "repaired": differences(REPORTED, REPAIRED),
        },
    ),
    "advice": ({**REPORTED, **NOTES}, {"repaired": differences({**REPORTED, **NOTES}, REPAIRED)}),
    "places": (BLIND, {"coordinates of the canvas": {"coordinates": "true"}}),
    "taken": (
        REPAIRED,
        {
            "one level": {"levels": 1},
            "one level, rollouts of 24 to 32": {"levels": 1, **PATIENT},
            "nothing fades": {"leak": 0.0},
            "not handed down in every step": {"handed": False},
            "no pool": {"pool": 0},
            "all cells of a crop judged": {"margin": 0},
            "circular beyond crops": {"padding": "circular"},
            "coordinates of the canvas": {"coordinates": "true"},
            "whole canvas": {"patch": 0, "margin": 0, "batch_size": 4},
            "half of the cells change": {"fire": 0.5},
            "twice as wide": {"channels": 32, "hidden": 128},
        },
    ),
    "grow": (
        GROWN,
        {
            "coordinates of the canvas": {"coordinates": "true"},
            "pool hygiene": {**HYGIENE, "damaged": 1},
            "whole canvas": {"patch": 0, "batch_size": 4},
            "whole canvas, rollouts of 24 to 32": {"patch": 0, "batch_size": 4, **PATIENT},
            "the baseline's form": {
                "patch": 0,
                "batch_size": 4,
                "padding": "zeros",
                "damaged": 1,
                "ranked": False,
                "reseeded": 1,
                **PATIENT,
            },
            "coarse to fine": {
                "patch": 0,
                "batch_size": 4,
                "padding": "zeros",
                "ranked": False,
                "reseeded": 1,
                "levels": 3,
                "handed": True,
                "steps_least": 10,
                "steps_most": 14,
            },
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says, as what an arm should do to the error of its trial's baseline."""

    key: str
    text: str
    trial: str
    arm: str
    says: Literal["better", "cured", "worse", "same"]


CLAIMS = (
    Claim("N01", "patches fail as they never see more: the whole is needed", "alone",
          "whole canvas", "better"),
    Claim("N01", "the same with rollouts that cross it", "alone",
          "whole canvas, rollouts of 24 to 32", "better"),
    Claim("N02", "failures in the pool mislead: renewing it helps", "alone", "pool hygiene",
          "better"),
    Claim("N03", "crops teach nothing of the whole, whatever is trained on them", "alone",
          "repaired", "same"),
    Claim("N03", "the whole canvas is better, also coarse to fine", "taken", "whole canvas",
          "better"),
    Claim("N04", "width that suffices for the small canvas is too small", "alone",
          "twice as wide", "better"),
    Claim("N04", "the same of the repaired form", "taken", "twice as wide", "better"),
    Claim("N05", "the small canvas's rate is too high", "alone", "a quarter of the rate", "better"),
    Claim("N06", "coordinates of the crop cure it", "alone", "coordinates of the crop", "cured"),
    Claim("N06", "coordinates of the canvas", "alone", "coordinates of the canvas", "cured"),
    Claim("N06", "the same of a picture that is grown", "grow", "coordinates of the canvas",
          "cured"),
    Claim("N06", "the same where the target depends on the place", "places",
          "coordinates of the canvas", "cured"),
    Claim("N07", "a curriculum over size bridges the gap", "alone", "sizes from a quarter on",
          "cured"),
    Claim("N08", "better sampling bridges the gap", "alone", "drawn by lot", "cured"),
)  # fmt: skip
