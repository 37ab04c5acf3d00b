"""Every knob of the nca case, and its presets."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unstuck import case_options

Scalar = float | int | str | bool
Task = Literal["grow", "flow"]


class Recipe(BaseModel):
    """What is learnt, and how. The defaults are those of growing automata, as published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # task
    task: Task = "grow"
    size: int = Field(default=72, ge=8, le=1024)  # side of the whole canvas, px
    image: str = "lizard"  # a picture file, or one of the sample by name; several: "a,b"
    apart: float = Field(default=1.0, gt=0, le=1)  # what tells the seeds of several pictures apart
    picture: int = Field(default=0, ge=0)  # longer side of what is grown, px; 0: 5/9 of the canvas
    domains: int = Field(default=256, ge=1)  # flow fields that are trained on
    held_out: int = Field(default=32, ge=1)  # and others that are not
    broken: float = Field(default=0.0, ge=0, le=1)  # share of directions whose fields are noise
    shear: float = Field(default=0.0, ge=0)  # of a flow that is laid over them, undisturbed speeds

    # what a training sample is
    patch: int = Field(default=0, ge=0)  # side of random crops; 0: the whole canvas
    margin: int = Field(default=0, ge=0)  # cells inside a crop's border that are not judged
    padding: Literal["zeros", "circular", "replicate"] = "zeros"
    coordinates: Literal["none", "local", "true"] = "none"  # of the crop, or of the whole canvas
    curriculum: Literal["none", "size", "steps", "both"] = "none"  # what begins at a quarter

    # rule
    channels: int = Field(default=16, ge=8)
    hidden: int = Field(default=128, ge=4)
    kernels: Literal["sobel", "laplacian"] = "sobel"  # with identity; the second has both
    scales: int = Field(default=1, ge=1, le=5)  # perception at dilations 1, 2, 4, ...
    global_grid: int = Field(default=0, ge=0)  # side of a coarse mean of all cells that each hears
    fire: float = Field(default=0.5, gt=0, le=1)  # share of the cells that change in a step
    alive: bool = True  # cells without a living neighbour are empty
    leak: float = Field(default=0.0, ge=0, lt=1)  # share of a state that is lost in a step
    levels: int = Field(default=1, ge=1, le=6)  # rules from coarse to fine, each twice as fine
    coarse_steps: float = Field(default=1.0, ge=1, le=4)  # times the steps of the next finer level
    handed: bool = False  # finer levels are given the coarser state in every step, too
    decoder: Literal[1, 2, 4, 8] = 1  # px of the picture for one cell; 1: cells are px

    # rollouts
    steps_least: int = Field(default=64, ge=1)
    steps_most: int = Field(default=96, ge=1)
    segment: int = Field(default=0, ge=0)  # steps that are computed twice to save memory; 0: none

    # pool
    pool: int = Field(default=1024, ge=0)  # samples that are gone on from; 0: every one begins anew
    ranked: bool = False  # True: only the easiest of the pool are drawn, again and again
    reseeded: int = Field(default=1, ge=0)  # of a batch that begin anew
    reseeds: Literal["worst", "best"] = "worst"  # which of them; "best" keeps what has failed
    renewal: float = Field(default=0.0, ge=0, le=1)  # share of a batch that begins anew by lot
    age_limit: int = Field(default=0, ge=0)  # rollouts after which a sample begins anew; 0: none
    gate: float = Field(default=0.0, ge=0)  # times the error of an empty canvas that is too much
    damaged: int = Field(default=3, ge=0)  # of the best of a batch
    seed_noise: float = Field(default=0.0, ge=0)  # of the first state

    # what is told of it
    lasting: bool = True  # what is built is meant to stay
    probed: bool = False  # at the end, experiments on the rule: of its first state, of places

    # training
    iterations: int = Field(default=8000, ge=1)
    batch_size: int = Field(default=8, ge=1)
    lr: float = Field(default=2e-3, gt=0)
    schedule: Literal["step", "cosine"] = "step"  # a tenth after `drop_at`, or a warm cosine
    drop_at: int = Field(default=2000, ge=0)  # iterations
    gradients: Literal["normalised", "clipped"] = "normalised"  # variable by variable; to 1
    channels_last: bool = True
    compile: bool = False
    device: str = "cpu"
    threads: int = Field(default=1, ge=1)  # of the processor; one keeps parallel trials apart

    @model_validator(mode="after")
    def _fits(self) -> "Recipe":
        if self.steps_most < self.steps_least:
            raise ValueError(f"steps_most {self.steps_most} is less than steps_least")
        if self.patch > self.size:
            raise ValueError(f"a patch of {self.patch} is larger than the canvas of {self.size}")
        if self.picture > self.size:
            raise ValueError(
                f"a picture of {self.picture} px is larger than the canvas of {self.size}"
            )
        if self.pool and self.pool < self.batch_size:
            raise ValueError(f"a pool of {self.pool} is less than a batch of {self.batch_size}")
        if 2 * self.margin >= (self.patch or self.size):
            raise ValueError(f"a margin of {self.margin} leaves nothing of a crop to be judged")
        if self.alive and self.decoder > 1:
            raise ValueError("cells that are read by a decoder have no alpha: alive=false")
        return self

    @property
    def side(self) -> int:
        """Side of a training sample, px."""
        return self.patch or self.size

    def flat(self) -> dict[str, Scalar]:
        """Every field as a number or text: `Recipe(**recipe.flat()) == recipe`."""
        return dict(self)


# canvases of four crops' side, one rule for all, a pool of the easiest that is never renewed
REPORTED: Mapping[str, Scalar] = {
    "padding": "circular",
    "steps_least": 1,
    "steps_most": 10,
    "ranked": True,
    "reseeded": 0,
    "damaged": 0,
}
FLOW: Mapping[str, Scalar] = {
    "task": "flow",
    "size": 96,
    "alive": False,
    "channels": 24,
    "hidden": 64,
    "kernels": "laplacian",
    "patch": 24,
    "batch_size": 16,
    "iterations": 5000,
    "domains": 768,
}
# what the notes did about it
NOTES: Mapping[str, Scalar] = {
    "coordinates": "local",
    "curriculum": "steps",
    "ranked": False,
    "reseeded": 1,
}
# what carries: every level has its rule, states fade, and rollouts go on from a small pool
REPAIRED: Mapping[str, Scalar] = {
    "levels": 5,
    "coarse_steps": 1.3,
    "handed": True,
    "leak": 0.1,
    "fire": 1.0,
    "steps_least": 3,
    "steps_most": 5,
    "margin": 6,
    "pool": 64,
    "reseeded": 0,
    "renewal": 0.3,
    "gate": 3.0,
    "damaged": 0,
    "schedule": "cosine",
}
GROWN: Mapping[str, Scalar] = {
    "size": 96,
    "levels": 3,
    "handed": True,
    "steps_least": 16,
    "steps_most": 24,
    "pool": 128,
    "damaged": 1,
    "batch_size": 4,
    "iterations": 900,
    "drop_at": 600,
}


def _with(*parts: Mapping[str, Scalar]) -> Recipe:
    values: dict[str, Scalar] = {}
    for part in parts:
        values |= part
    return Recipe.model_validate(values)


TINY: Mapping[str, Scalar] = {"size": 24, "iterations": 12, "pool": 16}
SMALLEST: Mapping[str, Scalar] = {
    "patch": 0,
    "margin": 0,
    "levels": 3,
    "domains": 8,
    "held_out": 4,
}

GROW: Mapping[str, Scalar] = {"size": 96, "patch": 24}

# task and form; `command` finds a form by its own name for the task that is asked for
PRESETS: Mapping[str, Recipe] = {
    "grow-baseline64": Recipe(),
    "grow-reported": _with(GROW, REPORTED),
    "grow-notes": _with(GROW, REPORTED, NOTES),
    "grow-repaired": _with(GROWN),
    "grow-tiny": _with(TINY, {"steps_least": 12, "steps_most": 16, "batch_size": 4}),
    "flow-reported": _with(FLOW, REPORTED),
    "flow-notes": _with(FLOW, REPORTED, NOTES),
    "flow-repaired": _with(FLOW, REPAIRED),
    "flow-tiny": _with(FLOW, REPAIRED, TINY, SMALLEST),
}


def made(values: Mapping[str, Any]) -> Recipe:
    """A recipe from flat values; ValueError with one clear line where they are no recipe."""
    return case_options.made(Recipe, values)
