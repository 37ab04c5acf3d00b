"""The trained generator as the subject of experiments: `unstuck case probe zi2zi --run DIR`.

Without `--run` one is trained first. The discriminator is left out: a probe's loss is the sum of
the terms that compare pictures.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unstuck
from unstuck.cases.zi2zi import checkpoint, command, perception
from unstuck.cases.zi2zi.glyphs import Pairs, load
from unstuck.cases.zi2zi.losses import matching_term
from unstuck.cases.zi2zi.recipe import Recipe

BATCHES = 8  # of training data at most


def subject(arguments: list[str] | None = None) -> unstuck.Subject:
    """The generator with its training and held-out pairs."""
    options = command.parser("unstuck.cases.zi2zi.probe", __doc__ or "")
    options.add_argument("--run", type=Path, help="folder that `train --out` left")
    chosen = options.parse_args(arguments)
    if chosen.run is None:
        from unstuck.cases.zi2zi.train import train

        chosen.run = chosen.out or Path("runs/zi2zi-probe")
        train(command.recipe_of(chosen), chosen.seed, chosen.run)
    generator, recipe, seed = checkpoint.trained(chosen.run)
    split = load(recipe, seed)
    order = torch.randperm(len(split.train), generator=torch.Generator().manual_seed(seed))
    parts = [split.train[rows] for rows in order.split(recipe.batch_size)]
    first, *further = [pair_of(part) for part in parts[:BATCHES]]

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        source, target, styles = batch
        return terms(recipe, model(source, styles), source, target)

    return unstuck.Subject(
        generator.train(),
        first,
        loss,
        torch.optim.Adam(generator.parameters(), lr=recipe.lr_g, betas=(recipe.beta1, 0.99)),
        batches=further,
        held_out=[pair_of(split.held_out)],
        name="zi2zi",
        paired=lambda batch: (batch[0], batch[1]),
    )


def pair_of(pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
    return pairs.source, pairs.target, pairs.styles


def terms(r: Recipe, drawn: Tensor, source: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The weighted terms that compare what was drawn with a picture."""
    found = {"l1": r.l1 * F.l1_loss(drawn, target)}
    if r.identity:
        found["identity"] = r.identity * F.l1_loss(drawn, source)
    if r.perceptual:
        see = perception.low if r.perceptual_depth == "low" else perception.deep
        found["perceptual"] = r.perceptual * matching_term(see(target), see(drawn))
    return found
