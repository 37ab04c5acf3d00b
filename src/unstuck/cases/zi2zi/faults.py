"""Single faults of the repaired form, and what can be tried on a sick one."""

from collections.abc import Mapping

from unstuck import Treatment
from unstuck.cases.zi2zi.recipe import PRESETS, REPORTED, Scalar

Changes = Mapping[str, Scalar]

FEW: Changes = {"train_characters": 40, "shift": 0, "epochs": 250, "schedule": "none"}

# name -> (change of the repaired recipe, codes a correct diagnosis names first)
FAULTS: Mapping[str, tuple[Changes, tuple[str, ...]]] = {
    "saturated-discriminator": (REPORTED, ("ADV001",)),
    "broken-accumulation": (
        {"batch_size": 4, "accumulation": 4, "broken_accumulation": True},
        ("OPT011", "OPT015"),
    ),
    # OPT015 waits for 200 backward passes
    "frozen-discriminator": ({"frozen_discriminator": True, "epochs": 16}, ("OPT015",)),
    "detached-const": ({"const": 15.0, "const_detached": True}, ("GRD004",)),
    "misregistered-target": ({"target_x": 2, "target_y": 2}, ("DAT003",)),
    "heavy-perceptual": ({"perceptual": 2e5, "perceptual_depth": "deep"}, ("LOS001",)),
    "identity-shortcut": ({"identity": 1e4, "epochs": 20}, ("SKP002",)),
    "asymmetric-category": ({"category": 5.0, "category_d": 0.02}, ("LOS004",)),
    "oversized-generator": ({**FEW, "ngf": 24}, ("CAP001", "GEN001")),
    "tiny-data": (FEW, ("GEN001",)),
}

_REPAIRED = PRESETS["repaired"].flat()

TREATMENTS: tuple[Treatment, ...] = (
    Treatment(
        "penalties",
        "regularise-discriminator",
        {key: _REPAIRED[key] for key in ("gan", "norm_d", "r1", "r2")},
        "the discriminator's loss stays away from zero; L1 falls",
        ("ADV001",),
    ),
    Treatment(
        "slower-discriminator",
        "lower-learning-rate",
        {"lr_d": 2.5e-4},
        "the discriminator's loss stays away from zero; L1 hardly moves",
        ("ADV001",),
    ),
    Treatment(
        "whole-accumulation",
        "give-each-step-its-own-gradients",
        {"broken_accumulation": False},
        "the discriminator learns, and the generator from all of a batch",
        ("OPT011", "OPT015"),
    ),
    Treatment(
        "trained-discriminator",
        "update-every-network",
        {"frozen_discriminator": False},
        "the discriminator's loss falls from where it began",
        ("OPT015",),
    ),
    Treatment(
        "attached-const",
        "reattach-graph",
        {"const_detached": False},
        "the decoder learns from the const term, too",
        ("GRD004",),
    ),
    Treatment(
        "targets-in-place",
        "use-registered-pairs",
        {"target_x": 0, "target_y": 0},
        "L1 against targets in their place falls",
        ("DAT003",),
    ),
    Treatment(
        "low-perceptual",
        "lower-term-weight",
        {"perceptual": _REPAIRED["perceptual"], "perceptual_depth": "low", "identity": 0.0},
        "L1 falls",
        ("SKP002", "LOS001"),
    ),
    Treatment(
        "category-alike",
        "raise-term-weight",
        {"category_d": 1.0},
        "both sides weigh the category term alike; L1 hardly moves",
        ("LOS004",),
    ),
    Treatment(
        "more-characters",
        "augment-data",
        {"train_characters": 0, "epochs": 10},
        "L1 on held-out characters falls",
        ("GEN001", "CAP001"),
    ),
)
