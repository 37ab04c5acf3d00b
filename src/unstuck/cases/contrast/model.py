"""Shared encoder, one decoder per contrast; skips per path.

85,668 parameters in the repaired form, 215,108 in the published remedy's (latent and decoder twice
as wide), 13,673,476 for the latter at the original size (64/128/256 features, latent 512).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from unstuck.cases.contrast.recipe import Recipe

Skips = list[Tensor]  # encoder features, finest first: (n, c, s, s), (n, c, s/2, s/2)


class Outputs(NamedTuple):
    """Latents (n, latent, s/4, s/4) and predictions (n, 2, s, s): `b_from_a` is contrast b
    predicted from contrast a. `p_a`, `p_b`: the predictor's guesses at z_b, z_a, where it is on."""

    z_a: Tensor
    z_b: Tensor
    a_from_a: Tensor
    b_from_b: Tensor
    b_from_a: Tensor
    a_from_b: Tensor
    p_a: Tensor | None
    p_b: Tensor | None


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions with GroupNorm and ReLU; (n, inputs, s, s) -> (n, outputs, s, s)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(1, outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.GroupNorm(1, outputs),
        nn.ReLU(),
    )


class Encoder(nn.Module):
    """(n, 2, s, s) -> z (n, latent, s/4, s/4) and the skips, one per level but the deepest."""

    def __init__(self, features: Sequence[int], latent: int) -> None:
        super().__init__()
        inputs = [2, *features[:-1]]
        self.levels = nn.ModuleList(block(i, f) for i, f in zip(inputs, features, strict=True))
        self.to_latent = nn.Conv2d(features[-1], latent, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Skips]:
        features = []
        x = image
        for depth, level in enumerate(self.levels):
            x = level(x if depth == 0 else nn.functional.max_pool2d(x, 2))
            features.append(x)
        return self.to_latent(x), features[:-1]


class Up(nn.Module):
    """Doubles the resolution; joins the skip where the path has one.

    `merge` reads concat([skip, upsampled]) and `plain` the upsampled features alone; each exists
    only where some path needs it.
    """

    def __init__(self, inputs: int, skip: int, outputs: int, merge: bool, plain: bool) -> None:
        super().__init__()
        self.merge = nn.Conv2d(skip + inputs, outputs, 3, padding=1) if merge else None
        self.plain = nn.Conv2d(inputs, outputs, 3, padding=1) if plain else None
        first_norm = nn.GroupNorm(1, outputs)
        self.rest = nn.Sequential(first_norm, nn.ReLU())

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = interpolate(x, scale_factor=2.0)
        first = self.plain if skip is None else self.merge
        assert first is not None, "the recipe names no path of this kind"
        joined: Tensor = self.rest(first(x if skip is None else torch.cat([skip, x], 1)))
        return joined


class Decoder(nn.Module):
    """z (n, latent, s/4, s/4), skips or None -> image (n, 2, s, s)."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        first, *rest = recipe.decoder_features
        skips = list(recipe.encoder_features[-2::-1])  # deepest first
        merge = recipe.same_domain_use_skip or recipe.cross_domain_strategy != "no_skip"
        plain = not recipe.same_domain_use_skip or recipe.cross_domain_strategy == "no_skip"
        self.start = block(recipe.latent_channels, first)
        self.ups = nn.ModuleList(
            Up(i, s, o, merge, plain) for i, s, o in zip([first, *rest], skips, rest, strict=False)
        )
        self.to_image = nn.Conv2d(rest[-1], 2, 1)

    def forward(self, z: Tensor, skips: Skips | None) -> Tensor:
        x = self.start(z)
        for depth, up in enumerate(self.ups):
            x = up(x, None if skips is None else skips[-1 - depth])
        image: Tensor = self.to_image(x)
        return image


class ContrastNet(nn.Module):
    """Encoder and decoders; `forward(a, b)` runs the four paths as they run in training."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.same_domain_use_skip = recipe.same_domain_use_skip
        self.strategy = recipe.cross_domain_strategy
        self.drop = recipe.skip_dropout
        self.encoder = Encoder(recipe.encoder_features, recipe.latent_channels)
        self.decoder_a = Decoder(recipe)
        self.decoder_b = Decoder(recipe)
        width = recipe.latent_channels
        self.predictor = (
            nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1))
            if recipe.content_term == "predictor"
            else None
        )
        if recipe.zero_start:
            zero(self.decoder_a)
            zero(self.decoder_b)

    def forward(self, a: Tensor, b: Tensor) -> Outputs:
        z_a, skips_a = self.encoder(a)
        z_b, skips_b = self.encoder(b)
        return Outputs(
            z_a=z_a,
            z_b=z_b,
            a_from_a=self.decoder_a(z_a, self.same_skips(skips_a)),
            b_from_b=self.decoder_b(z_b, self.same_skips(skips_b)),
            b_from_a=self.decoder_b(z_a, self.cross_skips(skips_a, skips_b)),
            a_from_b=self.decoder_a(z_b, self.cross_skips(skips_b, skips_a)),
            p_a=None if self.predictor is None else self.predictor(z_a),
            p_b=None if self.predictor is None else self.predictor(z_b),
        )

    def translate(self, image: Tensor, to: str) -> Tensor:
        """The other contrast (`to`: "a" or "b") of an image, given nothing else."""
        z, skips = self.encoder(image)
        decoder = self.decoder_a if to == "a" else self.decoder_b
        prediction: Tensor = decoder(z, self.cross_skips(skips, None))
        return prediction

    def same_skips(self, skips: Skips) -> Skips | None:
        return skips if self.same_domain_use_skip else None

    def cross_skips(self, source: Skips, target: Skips | None) -> Skips | None:
        """What the cross path gets for skips; `target` None: the answer is not there to look at."""
        if self.strategy == "no_skip":
            return None
        if self.strategy == "zero_skip":
            return zeros_like(source)
        if self.strategy == "target_skip":
            return zeros_like(source) if target is None else target
        if self.strategy == "skip_dropout" and self.training:
            n = len(source[0])
            kept = (torch.rand(n, 1, 1, 1) >= self.drop).to(source[0])
            return [s * kept for s in source]
        return source


def zeros_like(skips: Skips) -> Skips:
    return [torch.zeros_like(s) for s in skips]


def zero(module: nn.Module) -> None:
    """Sets every parameter of the module to zero, those of its norms too."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


def count_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
