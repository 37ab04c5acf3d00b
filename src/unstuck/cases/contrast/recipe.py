"""Every knob of the contrast case, and its presets."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from unstuck import case_options

Scalar = float | int | str | bool
Strategy = Literal["zero_skip", "no_skip", "source_skip", "target_skip", "skip_dropout"]


class Recipe(BaseModel):
    """What is trained on what, and how. The defaults are the repaired form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # data
    anatomy: Literal["varied", "average"] = "varied"  # how much subjects differ
    data: str = ""  # folder of fastMRI-style HDF5 files; empty: images from physics
    crop_size: int = Field(default=48, ge=16, multiple_of=4)  # px; two halvings
    train_subjects: int = Field(default=96, ge=2)
    test_subjects: int = Field(default=16, ge=2)
    test_share: float = Field(default=0.2, gt=0, lt=1)  # of the subjects, for measured data
    slices: int = Field(default=2, ge=1, le=8)  # neighbouring slices of each subject
    noise: float = Field(default=0.06, ge=0)  # std over the root mean square of the PD image
    raw_scale: bool = False  # True: receiver units (some thousands) instead of unit power

    # model
    encoder_features: tuple[int, ...] = (8, 16, 32)  # channels from full to quarter resolution
    latent_channels: int = Field(default=32, ge=1)
    decoder_features: tuple[int, ...] = (32, 16, 8)  # channels from quarter to full resolution
    same_domain_use_skip: bool = False  # skips in a -> a and b -> b
    cross_domain_strategy: Strategy = "source_skip"  # what a -> b and b -> a get for skips
    skip_dropout: float = Field(
        default=0.5, ge=0, le=1
    )  # share of samples without, for skip_dropout
    zero_start: bool = False  # True: every decoder parameter starts at zero

    # loss
    content_term: Literal["plain", "predictor"] = "plain"  # |z_a - z_b|, or SimSiam's form
    content_weight: float = Field(default=0.02, ge=0)
    recon_weight: float = Field(default=1.0, ge=0)
    cross_weight: float = Field(default=1.0, ge=0)
    edge_weight: float = Field(default=0.0, ge=0)  # weight of the L1 between image gradients

    # training
    steps: int = Field(default=250, ge=1)
    batch_size: int = Field(default=4, ge=1)
    lr: float = Field(default=2e-3, gt=0)  # AdamW
    weight_decay: float = Field(default=0.01, ge=0)
    clip: float = Field(default=1.0, gt=0)  # largest gradient norm
    device: str = "cpu"
    threads: int = Field(default=1, ge=1)  # of the processor; one keeps parallel trials apart

    @property
    def subjects(self) -> int:
        return self.train_subjects + self.test_subjects

    @field_validator("encoder_features", "decoder_features", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self) -> "Recipe":
        if not len(self.encoder_features) == len(self.decoder_features) >= 2:
            raise ValueError("encoder_features and decoder_features need one entry per level")
        if min(*self.encoder_features, *self.decoder_features) < 1:
            raise ValueError("features must be positive")
        if self.crop_size % 2 ** (len(self.encoder_features) - 1):
            raise ValueError("crop_size must be divisible by 2 for each level but the deepest")
        if self.latent_channels < 1:
            raise ValueError("latent_channels must be positive")
        return self

    def flat(self) -> dict[str, Scalar]:
        """Every field as a number or text, lists as text: `Recipe(**recipe.flat()) == recipe`."""
        return {
            name: ",".join(map(str, value)) if isinstance(value, tuple) else value
            for name, value in self
        }


# learning rates: the largest with which each form still learns once its content weight is .05
PRESETS: Mapping[str, Recipe] = {
    # the failing state: skips within a domain, zeros in their place across, content at full weight
    "reported": Recipe(
        same_domain_use_skip=True, cross_domain_strategy="zero_skip", content_weight=1.0, lr=1e-3
    ),
    # the published remedy: no skips anywhere, twice the latent and decoder, little recon
    "notes": Recipe(
        cross_domain_strategy="no_skip",
        latent_channels=64,
        decoder_features=(64, 32, 16),
        content_weight=1.0,
        recon_weight=0.05,
        lr=5e-4,
    ),
    "repaired": Recipe(),
    "tiny": Recipe(crop_size=32, train_subjects=24, test_subjects=6, steps=40, lr=3e-3),
}


def made(values: Mapping[str, Any]) -> Recipe:
    """A recipe from flat values; ValueError with one clear line where they are no recipe."""
    return case_options.made(Recipe, values)
