"""What the study changes of which form, and which changes test which published claim."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from unstuck.cases.zi2zi.recipe import PRESETS, Scalar

Changes = Mapping[str, Scalar]

# every form at a size that a study of many runs can pay for: 8 epochs of 320 characters
SMALL: Changes = {
    "ngf": 8,
    "ndf": 12,
    "train_characters": 320,
    "held_out": 60,
    "epochs": 8,
}
BATCH = 16  # of every form
EPOCHS = 8


def differences(base: str, other: str) -> dict[str, Scalar]:
    """All that makes the preset `base` into `other`."""
    values, wanted = PRESETS[base].flat(), PRESETS[other].flat()
    found = {key: wanted[key] for key in values if wanted[key] != values[key]}
    return {key: value for key, value in found.items() if key not in SMALL}


def as_many_updates(batch: int) -> Changes:
    """Another size of batches, with epochs for as many updates as `BATCH` makes."""
    return {"batch_size": batch, "epochs": max(1, round(EPOCHS * batch / BATCH))}


# label shuffling draws every picture in a second style, too: it needs two
TWO_STYLES: Changes = {
    "source": "noto-sans-sc",
    "target": os.pathsep.join(("lxgw-wenkai", "tw-kai")),
}
BASES: Mapping[str, Changes] = {"styles": TWO_STYLES}  # trial -> what its baseline has besides

L1_ALONE: Changes = {"lambda_adv": 0.0, "balance": "fixed", "category": 0.0, "const": 0.0}

# trial -> its baseline's preset, and the arms
TRIALS: Mapping[str, tuple[str, Mapping[str, Changes]]] = {
    "forms": (
        "reported",
        {
            "notes": differences("reported", "notes"),
            "repaired": differences("reported", "repaired"),
            "repaired, no game": {
                **differences("reported", "repaired"),
                **L1_ALONE,
            },
            "repaired, no perceptual term": {
                **differences("reported", "repaired"),
                "perceptual": 0.0,
            },
            "L1 alone": L1_ALONE,
        },
    ),
    "game": (
        "reported",
        {
            "lr_D = lr_G / 4": {"lr_d": 2.5e-4},
            "lr_D = 4 lr_G": {"lr_d": 4e-3},
            "D every 2nd step": {"d_every": 2},
            "labels .9 / .1": {"smoothing": 0.1},
            "lambda .1": {"lambda_adv": 0.1},
            "lambda .3": {"lambda_adv": 0.3},
            "lambda .6": {"lambda_adv": 0.6},
            "lambda dynamic": {"balance": "dynamic"},
            "lambda .1 -> .5": {"balance": "scheduled"},
            "R1 + R2": {"r1": 30.0, "r2": 30.0},
            "relativistic + R1 + R2": {"gan": "relativistic", "r1": 30.0, "r2": 30.0},
            "lr_D = 4 lr_G, R1 + R2": {"lr_d": 4e-3, "r1": 30.0, "r2": 30.0},
            "category frozen, half": {"frozen_category": EPOCHS // 2},
        },
    ),
    "batch": (
        "reported",
        {
            "batch 4": {"batch_size": 4},
            "batch 8": {"batch_size": 8},
            "batch 32": {"batch_size": 32},
            "batch 64": {"batch_size": 64},
            "16 x 4 accumulated": {"accumulation": 4},
            "32 x 2 accumulated": {"batch_size": 32, "accumulation": 2},
            "batch 4, as many updates": as_many_updates(4),
            "batch 8, as many updates": as_many_updates(8),
            "batch 32, as many updates": as_many_updates(32),
            "batch 64, as many updates": as_many_updates(64),
            "batch 4, lr 2.5e-4": {"batch_size": 4, "lr_g": 2.5e-4, "lr_d": 2.5e-4},
            "batch 4, lr 2.5e-4, D 6e-5": {"batch_size": 4, "lr_g": 2.5e-4, "lr_d": 6.25e-5},
        },
    ),
    "network": (
        "reported",
        {
            "attention at 256": {"attention": "shallow"},
            "no attention": {"attention": "none"},
            "skips concatenated": {"skips": "concatenated"},
            "no skips": {"skips": "none"},
            "twice as wide": {"ngf": 16},
            "lr 2e-4": {"lr_g": 2e-4, "lr_d": 2e-4},
            "L1 50": {"l1": 50.0},
            "L1 50, perceptual": {"l1": 50.0, "perceptual": 20.0},
            "perceptual": {"perceptual": 20.0},
            "perceptual, deep": {"perceptual": 20.0, "perceptual_depth": "deep"},
            "perceptual .05": {"perceptual": 0.05},
            "perceptual, no const": {"perceptual": 20.0, "const": 0.0},
            "perceptual, no skips": {"perceptual": 20.0, "skips": "none"},
            "no const": {"const": 0.0},
            "const pooled": {"const_kind": "pooled"},
            "category alike": {"category_d": 1.0},
            "2 px off": {"target_x": 2, "target_y": 2},
        },
    ),
    "styles": (
        "reported",
        {
            "labels shuffled": {"shuffled_labels": True},
            "R1 + R2": {"r1": 30.0, "r2": 30.0},
            "labels shuffled, R1 + R2": {"shuffled_labels": True, "r1": 30.0, "r2": 30.0},
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says, as an arm against another of its trial.

    `says` is what the arm should do to quality against `against`: better, worse, or the same.
    """

    text: str
    who: str
    trial: str
    arm: str
    says: Literal["better", "worse", "same"]
    against: str = "baseline"


CLAIMS: Mapping[str, tuple[Claim, ...]] = {
    "Z03": (Claim("lr_D = lr_G / 4 helps", "notes", "game", "lr_D = lr_G / 4", "better"),),
    "Z04": (
        Claim(
            "D every 2nd step is safer than a larger batch",
            "notes",
            "game",
            "D every 2nd step",
            "better",
        ),
    ),
    "Z05": (Claim("label smoothing helps", "notes", "game", "labels .9 / .1", "better"),),
    "Z06": (
        Claim("lambda .3 instead of 1", "notes", "game", "lambda .3", "better"),
        Claim(".6 is worse than .3", "notes", "game", "lambda .6", "worse", "lambda .3"),
        Claim(".1 is too little", "state of the art", "game", "lambda .1", "worse", "lambda .3"),
    ),
    "Z07": (Claim("a dynamic lambda", "notes", "game", "lambda dynamic", "better"),),
    "Z08": (Claim("lambda rising .1 to .5", "notes", "game", "lambda .1 -> .5", "better"),),
    "Z09": (
        Claim("attention at 256, not 512", "notes", "network", "attention at 256", "better"),
        Claim("or none", "notes", "network", "no attention", "better"),
    ),
    "Z10": (Claim("the category head frozen", "notes", "game", "category frozen, half", "better"),),
    "Z11": (Claim("a larger one is too large", "notes", "network", "twice as wide", "worse"),),
    "Z14": (
        Claim("batch 32 instead of 16", "a chat", "batch", "batch 32", "better"),
        Claim("at equal updates", "a chat", "batch", "batch 32, as many updates", "better"),
    ),
    "Z16": (
        Claim("batch 4 instead of 16", "a chat", "batch", "batch 4", "better"),
        Claim("batch 8 instead of 16", "a chat", "batch", "batch 8", "better"),
        Claim("4 at equal updates", "a chat", "batch", "batch 4, as many updates", "better"),
        Claim("8 at equal updates", "a chat", "batch", "batch 8, as many updates", "better"),
    ),
    "Z17": (
        Claim("batch 8 is worse than 64", "a chat", "batch", "batch 8", "worse", "batch 64"),
        Claim(
            "8 worse than 64 at equal updates",
            "a chat",
            "batch",
            "batch 8, as many updates",
            "worse",
            "batch 64, as many updates",
        ),
    ),
    "Z18": (
        Claim("batch 64 brings nothing over 16", "a chat", "batch", "batch 64", "same"),
        Claim("nor at equal updates", "a chat", "batch", "batch 64, as many updates", "same"),
    ),
    "Z20": (
        Claim("16 x 4 equals 64", "theory", "batch", "16 x 4 accumulated", "same", "batch 64"),
    ),
    "Z21": (
        Claim("32 x 2 beats 64", "a chat", "batch", "32 x 2 accumulated", "better", "batch 64"),
    ),
    "Z22": (Claim("lr 2e-4 instead of 1e-3", "notes", "network", "lr 2e-4", "better"),),
    "Z23": (
        Claim("L1 50 is too little", "notes", "network", "L1 50", "worse"),
        Claim(
            "but right with a perceptual term", "notes", "network", "L1 50, perceptual", "better"
        ),
    ),
    "Z24": (
        Claim("low features help", "notes", "network", "perceptual", "better"),
        Claim("deep ones mislead", "notes", "network", "perceptual, deep", "worse", "perceptual"),
        Claim("deep ones harm", "notes", "network", "perceptual, deep", "worse"),
        Claim("a weight of .05 is right", "notes", "network", "perceptual .05", "better"),
    ),
    "Z25": (
        Claim(
            "const and perceptual conflict",
            "notes",
            "network",
            "perceptual, no const",
            "better",
            "perceptual",
        ),
    ),
    "Z26": (Claim("const pooled, MSE", "notes", "network", "const pooled", "better"),),
    "Z27": (Claim("category alike in D and G", "notes", "network", "category alike", "better"),),
    "Z28": (Claim("no skips lose structure", "notes", "network", "no skips", "worse"),),
    "Z29": (
        Claim(
            "and more so beside a perceptual term",
            "notes",
            "network",
            "perceptual, no skips",
            "worse",
            "perceptual",
        ),
    ),
    "Z31": (Claim("2 px off ruin what is drawn", "notes", "network", "2 px off", "worse"),),
    "Z32": (
        Claim(
            "batch 4 needs a lower lr",
            "notes",
            "batch",
            "batch 4, lr 2.5e-4",
            "better",
            "batch 4",
        ),
        Claim(
            "and D a lower one than G",
            "notes",
            "batch",
            "batch 4, lr 2.5e-4, D 6e-5",
            "better",
            "batch 4, lr 2.5e-4",
        ),
    ),
    "-": (
        Claim("relativistic + R1 + R2", "R3GAN", "game", "relativistic + R1 + R2", "better"),
        Claim("lr_D = 4 lr_G with penalties", "TTUR", "game", "lr_D = 4 lr_G, R1 + R2", "better"),
        Claim("concatenated skips", "UNet", "network", "skips concatenated", "better"),
        Claim("no const term", "ours", "network", "no const", "better"),
        Claim("`repaired` over `reported`", "ours", "forms", "repaired", "better"),
        Claim("`repaired` over `notes`", "ours", "forms", "repaired", "better", "notes"),
        Claim("and its game over none", "ours", "forms", "repaired", "better", "repaired, no game"),
        Claim("labels shuffled", "zi2zi, 2017", "styles", "labels shuffled", "better"),
    ),
}
