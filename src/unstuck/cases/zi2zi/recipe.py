"""Every knob of the zi2zi case, and its presets."""

import os
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unstuck import case_options

Scalar = float | int | str | bool
STYLES = 40  # entries of the style embedding, as published
STYLE_WIDTH = 128


class Recipe(BaseModel):
    """What is drawn, and how it is learnt. The defaults are the repaired form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # characters
    source: str = "sample"  # a font file, a font of a package by name, or the embedded sample
    target: str = "sample"  # the same; several, joined by os.pathsep, are styles 0, 1, ...
    charset: str = "gb2312-l1"  # a named set, or a text file with the characters
    size: Literal[64, 128, 256, 384] = 64  # side of a picture, px
    char_size: int = Field(default=0, ge=0)  # size of the fonts, px; 0: fitted to the canvas
    source_x: int = 0  # shift of the drawn characters, px; right and down are positive
    source_y: int = 0
    target_x: int = 0
    target_y: int = 0
    held_out: int = Field(default=200, ge=1)  # characters that are never trained on
    train_characters: int = Field(default=0, ge=0)  # of the others; 0: all of them
    shift: int = Field(default=1, ge=0)  # a pair is moved by up to so many px, both alike

    # generator
    ngf: int = Field(default=16, ge=4)  # channels of the first level
    skips: Literal["added", "concatenated", "none"] = "concatenated"
    attention: Literal["none", "innermost", "shallow"] = "none"
    norm: Literal["instance", "none"] = "instance"
    spectral_g: bool = False  # spectral norm
    dropout: float = Field(default=0.3, ge=0, lt=1)  # on two inner blocks

    # discriminator
    ndf: int = Field(default=16, ge=4)
    norm_d: Literal["instance", "none"] = "none"
    spectral_d: bool = False
    frozen_discriminator: bool = False  # True: it is judged by, and never updated

    # losses
    gan: Literal["vanilla", "hinge", "relativistic"] = "relativistic"
    l1: float = Field(default=100.0, ge=0)
    const: float = Field(default=0.0, ge=0)  # source's features, found again in what is drawn
    const_kind: Literal["map", "pooled"] = "map"  # L1 of maps, or MSE of their means
    const_detached: bool = False  # True: what is drawn is detached, so the term teaches nothing
    category: float = Field(default=0.0, ge=0)  # which style it is; for several target fonts
    category_d: float = Field(default=1.0, ge=0)  # times `category`, in the discriminator
    frozen_category: int = Field(default=0, ge=0)  # epochs the category head is not trained
    lambda_adv: float = Field(default=3.0, ge=0)  # of the adversarial term
    balance: Literal["fixed", "scheduled", "dynamic"] = "fixed"  # how that weight goes on
    smoothing: float = Field(default=0.0, ge=0, lt=0.5)  # real is 1 - this, drawn is this
    r1: float = Field(default=30.0, ge=0)  # gamma of the penalty on real pairs
    r2: float = Field(default=30.0, ge=0)  # on drawn pairs
    lazy: int = Field(default=8, ge=1)  # updates of the discriminator between penalties
    identity: float = Field(default=0.0, ge=0)  # L1 between source and what is drawn
    feature_matching: float = Field(default=0.0, ge=0)
    perceptual: float = Field(default=20.0, ge=0)
    perceptual_depth: Literal["low", "deep"] = "low"  # layers that see edges, or objects
    shuffled_labels: bool = False  # True: a second, unpaired style for each batch, without L1

    # training
    epochs: int = Field(default=36, ge=1)
    batch_size: int = Field(default=16, ge=1)
    accumulation: int = Field(default=1, ge=1)  # micro-batches in an update
    broken_accumulation: bool = False  # True: gradients are zeroed at every micro-batch
    lr_g: float = Field(default=1e-3, gt=0)
    lr_d: float = Field(default=1e-3, gt=0)
    beta1: float = Field(default=0.5, ge=0, lt=1)
    d_steps: int = Field(default=1, ge=1)  # updates of the discriminator for one of the generator
    d_every: int = Field(default=1, ge=1)  # the discriminator is updated every so many steps
    schedule: Literal["cosine", "step", "none"] = "cosine"
    diffaugment: bool = False
    ema: float = Field(default=0.999, ge=0, lt=1)  # of the generator's weights; 0: none
    amp: bool = False  # bfloat16
    channels_last: bool = False
    compile: bool = False
    device: str = "cpu"
    threads: int = Field(default=1, ge=1)  # of the processor; one keeps parallel trials apart

    @model_validator(mode="after")
    def _fits(self) -> "Recipe":
        if (self.source == "sample") != (self.target == "sample"):
            raise ValueError("the embedded sample has both fonts: give source and target, or none")
        if self.source == "sample" and self.size != 64:
            raise ValueError("the embedded sample is 64 px: other sizes need two fonts")
        if self.shuffled_labels and len(self.target.split(os.pathsep)) < 2:
            raise ValueError("shuffled_labels needs several target fonts")
        return self

    def flat(self) -> dict[str, Scalar]:
        """Every field as a number or text: `Recipe(**recipe.flat()) == recipe`."""
        return dict(self)


# the form that was reported, at the width of `repaired`: a discriminator that wins every step
REPORTED: Mapping[str, Scalar] = {
    "shift": 0,
    "skips": "added",
    "attention": "innermost",
    "dropout": 0.5,
    "ndf": 24,
    "norm_d": "instance",
    "gan": "vanilla",
    "const": 15.0,
    "category": 1.0,
    "category_d": 0.5,
    "lambda_adv": 1.0,
    "r1": 0.0,
    "r2": 0.0,
    "perceptual": 0.0,
    "schedule": "step",
    "ema": 0.0,
}

# what the notes did about it
NOTES: Mapping[str, Scalar] = {"balance": "dynamic", "lr_d": 2.5e-4}


def _with(*parts: Mapping[str, Scalar]) -> Recipe:
    values: dict[str, Scalar] = {}
    for part in parts:
        values |= part
    return Recipe.model_validate(values)


PRESETS: Mapping[str, Recipe] = {
    "reported": _with(REPORTED),
    "notes": _with(REPORTED, NOTES),
    "repaired": Recipe(),
    "tiny": Recipe(ngf=4, ndf=4, epochs=2, train_characters=64, held_out=20, perceptual=0.0),
}


def made(values: Mapping[str, Any]) -> Recipe:
    """A recipe from flat values; ValueError with one clear line where they are no recipe."""
    return case_options.made(Recipe, values)
