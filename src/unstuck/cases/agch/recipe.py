"""Every knob of the agch case, and its presets."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unstuck import case_options

Scalar = float | int | str | bool


class Recipe(BaseModel):
    """What is hashed, and how it is learnt. The defaults are the repaired form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # data
    data: Literal["emoji", "icons", "mirflickr", "nuswide"] = "emoji"
    path: str = ""  # file or folder of published features, for mirflickr and nuswide
    style: Literal["google", "twitter", "both"] = "google"  # whose pictures of the emoji
    labels: Literal["group", "subgroup"] = "group"  # what makes two items relevant to each other
    queries: int = Field(default=300, ge=1)  # items that are asked for, never trained on
    train_items: int = Field(default=0, ge=0)  # of the database; 0: all of it
    least_uses: int = Field(default=3, ge=1)  # training items that must have a word
    shuffle_pairs: bool = False  # True: images and texts are shuffled apart, partners are strangers

    # inputs
    image_input: Literal["standardised", "raw"] = "standardised"
    text_input: Literal["idf", "binary"] = "idf"  # words by rareness, or 0 and 1
    text_batchnorm: bool = False  # repair (2): BatchNorm1d in front of the sparse text
    text_scale: float = Field(default=1.0, gt=0)  # of the words

    # model
    bits: int = Field(default=64, ge=4, le=1024)
    hidden: int = Field(default=512, ge=4)  # width of the penultimate features
    leak: float = Field(default=0.0, ge=0, lt=1)  # slope of the activations below zero
    first_gain: float = Field(default=1.0, gt=0)  # of the first layers' initial weights
    dropout: float = Field(default=0.4, ge=0, lt=1)
    fusion: Literal["learned", "mean"] = "learned"  # one layer on both features, or their mean code
    graph: bool = True  # graph convolutions on the penultimate features
    graph_joins: bool = True  # their outputs are added to the fusion's before its tanh
    graph_std: float = Field(default=0.0, ge=0)  # of their initial weights; 0: the usual one

    # similarity targets
    source: Literal["diffused", "batch"] = "diffused"  # whole training set's graph, or the batch
    neighbours: int = Field(default=10, ge=1)  # of an item in that graph
    rank: int = Field(default=32, ge=1)  # eigenvectors of that graph that are kept
    trivial: bool = False  # True: the constant eigenvector, which places all alike, is kept
    similarity: Literal["product", "sum", "cosine", "distance"] = "product"  # repair (1)
    root: bool = False  # exp(-sqrt(dist) / rho) instead of exp(-dist / rho)
    rho: float = Field(default=4.0, gt=0)
    gamma_image: float = Field(default=0.7, ge=0)
    gamma_text: float = Field(default=1.0, ge=0)
    renormalise: bool = False  # True: joint features of unit length, so that gamma is lost
    affine: bool = False  # targets 2 S - 1 instead of S
    adjacency: Literal["similarity", "target"] = "similarity"  # S >= 0, or what is reconstructed

    # loss
    alpha: float = Field(default=1.0, ge=0)  # similarity within image, text and joint codes
    beta: float = Field(default=1.0, ge=0)  # similarity between them
    delta: float = Field(default=0.01, ge=0)  # graph codes: similarity, and distance to the joint
    align: float = Field(default=1.0, ge=0)  # lambda; repair (3): |B_v - B_t|^2
    quantisation: float = Field(default=1.0, ge=0)  # repair (4): (|B| - 1)^2
    balance: float = Field(default=1.0, ge=0)  # repair (4): mean(B)^2
    contrast: float = Field(default=0.3, ge=0)  # partners against the rest of the batch (InfoNCE)
    temperature: float = Field(default=0.3, gt=0)  # of that term
    constant_weights: bool = False  # True: the weights above stand in the recipe and do nothing

    # training
    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=8)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr_image: float = Field(default=1e-3, gt=0)
    lr_text: float = Field(default=1e-3, gt=0)
    lr_graph: float = Field(default=1e-3, gt=0)
    lr_fusion: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    schedule: Literal["cosine", "step", "none"] = "cosine"
    schedule_stepped: bool = True  # False: the schedule is made and never stepped
    phases: Literal["joint", "blocks"] = "joint"  # all at once, or one network after the other
    real_figures: bool = False  # True: figures on codes before the sign
    threads: int = Field(default=1, ge=1)  # of the processor; one keeps parallel trials apart

    @model_validator(mode="after")
    def _fits(self) -> "Recipe":
        if self.path and self.data not in ("mirflickr", "nuswide"):
            raise ValueError(f"path is for published features, and data is {self.data}")
        if not self.path and self.data in ("mirflickr", "nuswide"):
            raise ValueError(f"data {self.data} needs path: the file or folder of its features")
        if self.gamma_image + self.gamma_text == 0:
            raise ValueError("gamma_image and gamma_text must not both be zero")
        return self

    def flat(self) -> dict[str, Scalar]:
        """Every field as a number or text: `Recipe(**recipe.flat()) == recipe`."""
        return dict(self)


# the method as it was published: targets of the batch, schedule and rates of the paper
PAPER: Mapping[str, Scalar] = {
    "source": "batch",
    "affine": True,
    "gamma_image": 2.0,
    "gamma_text": 0.3,
    "text_input": "binary",
    "text_batchnorm": False,
    "dropout": 0.0,
    "graph_joins": False,
    "align": 10.0,
    "quantisation": 0.0,
    "balance": 0.0,
    "contrast": 0.0,
    "optimizer": "sgd",
    "lr_image": 1e-4,
    "lr_text": 1e-2,
    "lr_graph": 1e-3,
    "lr_fusion": 1e-2,
    "weight_decay": 5e-4,
    "epochs": 40,
    "batch_size": 32,
    "schedule": "step",
    "phases": "blocks",
}

# what the failing state had instead, one switch a defect
DEFECTS: Mapping[str, Mapping[str, Scalar]] = {
    "sum": {"similarity": "sum", "affine": False},
    "renormalised": {"renormalise": True},
    "adjacency": {"adjacency": "target"},
    "no-alignment": {"align": 0.0},
    "constant-weights": {"constant_weights": True},
    "schedule": {"schedule_stepped": False},
    "real-figures": {"real_figures": True},
}

# the four repairs of the notes, one switch each
REPAIRS: Mapping[str, Mapping[str, Scalar]] = {
    "product": {"similarity": "product", "affine": True},
    "text-normalised": {"text_batchnorm": True, "leak": 0.2, "first_gain": 2.0},
    "alignment": {"align": 1.0},
    "quantised": {"quantisation": 0.1, "balance": 0.1},
}


def _with(*parts: Mapping[str, Scalar]) -> Recipe:
    values: dict[str, Scalar] = {}
    for part in parts:
        values |= part
    return Recipe.model_validate(values)


PRESETS: Mapping[str, Recipe] = {
    "reported": _with(PAPER, *DEFECTS.values(), {"phases": "joint"}),
    "notes": _with(PAPER, *DEFECTS.values(), {"phases": "joint"}, *REPAIRS.values()),
    "paper": _with(PAPER),
    "repaired": Recipe(),
    "tiny": Recipe(bits=16, hidden=64, epochs=8, batch_size=32, train_items=400, queries=100),
}


def made(values: Mapping[str, Any]) -> Recipe:
    """A recipe from flat values; ValueError with one clear line where they are no recipe."""
    return case_options.made(Recipe, values)
