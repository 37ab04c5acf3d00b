"""Trains the agch case. Read it top to bottom.

python -m unstuck.cases.agch.train --preset repaired --set bits=32 --out runs/agch
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import unstuck
from unstuck.cases.agch import command
from unstuck.cases.agch.dataset import Split, load
from unstuck.cases.agch.losses import (
    CONSTANT,
    align_term,
    balance_term,
    between_term,
    contrast_term,
    graph_term,
    quantisation_term,
    within_term,
)
from unstuck.cases.agch.model import Hasher, Outputs
from unstuck.cases.agch.recipe import Recipe, Scalar, made
from unstuck.cases.agch.retrieval import hamming, mean_average_precision
from unstuck.cases.agch.targets import (
    Targets,
    batch_similarity,
    diffused_similarity,
    targets_of,
)
from unstuck.data.package import PackageError

METRIC = (
    "map"  # of the bits: mean average precision over the whole database, mean of both directions
)
HIGHER_IS_BETTER = True
UNIT = ""
MARGIN = 0.01  # about the spread between seeds of one recipe (README.md)
AT = 50  # the other depth, the one the published tables have
REPORTS = 5  # times held-out queries are asked during training


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes (n, bits) of queries and database by either network, before the sign."""

    query_image: NDArray[np.float32]
    query_text: NDArray[np.float32]
    database_image: NDArray[np.float32]
    database_text: NDArray[np.float32]


def train(
    recipe: Recipe | Mapping[str, Scalar], seed: int, out: Path | None = None, say: bool = False
) -> dict[str, float]:
    """Trains one recipe with one seed; the metrics on queries that were never trained on.

    The seed fixes the split, the initialisation and the order of the data, so that two recipes with
    one seed differ in nothing but the recipe.
    """
    r = recipe if isinstance(recipe, Recipe) else made(recipe)
    torch.set_num_threads(r.threads)
    split = load(r, seed)
    torch.manual_seed(seed)
    hasher = Hasher(split.train.images.shape[1], split.train.texts.shape[1], r)
    hasher.fit_inputs(split.train.images, split.train.texts)
    optimizer = optimizer_of(hasher, r)
    images, texts = hasher.inputs(split.train.images, split.train.texts)
    whole = diffused_similarity(images, texts, r) if r.source == "diffused" else None
    scheduler = schedule_of(optimizer, r, len(images) // r.batch_size)
    if say:
        print(f"{sum(p.numel() for p in hasher.parameters()):,} parameters, {described(split)}")

    start = time.perf_counter()
    for epoch in range(r.epochs):
        for rows in batches(len(images), r.batch_size, seed * 10_000 + epoch):
            x, t = images[rows], texts[partners(rows, r, len(texts))]
            similarity = batch_similarity(x, t, r) if whole is None else whole[rows][:, rows]
            targets = targets_of(similarity, r)
            for block in phases(hasher, r):
                out_of = hasher(x, t, targets.adjacency)
                loss = loss_of(out_of, targets, r)
                optimizer.zero_grad()
                loss.backward(inputs=[p for p in block.parameters() if p.requires_grad])
                optimizer.step()
            told(out_of, targets)
            if scheduler is not None and r.schedule_stepped:
                scheduler.step()

        if (epoch + 1) % max(1, r.epochs // REPORTS) == 0 or epoch + 1 == r.epochs:
            found = figures(codes_of(hasher, split), split, r.real_figures)
            unstuck.log(val_map=found["map"], val_map_50=found[f"map_{AT}"])
            if say:
                value = float(loss.detach())
                print(
                    f"epoch {epoch + 1:3d}  loss {value:.4f}  {shown(found, r, split)}", flush=True
                )

    seconds = time.perf_counter() - start
    codes = codes_of(hasher, split)
    metrics = figures(codes, split) | {"seconds": seconds, "seed": float(seed)}
    metrics["reported_map"] = figures(codes, split, r.real_figures)["map"]
    if out is not None:
        keep(out, hasher, codes, split, metrics)
    return metrics


def partners(rows: Tensor, recipe: Recipe, items: int) -> Tensor:
    """Rows of the texts: the same, or any, as of a loader that is shuffled by itself."""
    return torch.randint(items, rows.shape) if recipe.shuffle_pairs else rows


def optimizer_of(hasher: Hasher, recipe: Recipe) -> torch.optim.Optimizer:
    """One group for each network, at its own rate."""
    groups = [
        {"params": list(block.parameters()), "lr": getattr(recipe, f"lr_{name}")}
        for name, block in hasher.blocks().items()
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=recipe.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)


def schedule_of(
    optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int
) -> torch.optim.lr_scheduler.LRScheduler | None:
    """Cosine to zero, or a tenth after three quarters; `steps` an epoch."""
    total = recipe.epochs * max(1, steps)
    if recipe.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    if recipe.schedule == "step":
        return torch.optim.lr_scheduler.StepLR(optimizer, max(1, 3 * total // 4))
    return None


def batches(items: int, size: int, seed: int) -> Iterator[Tensor]:
    """Rows of whole batches in random order; the order depends on the seed alone."""
    order = torch.randperm(items, generator=torch.Generator().manual_seed(seed))
    for first in range(0, max(1, items - size + 1), size):
        yield order[first : first + size]


def phases(hasher: Hasher, recipe: Recipe) -> list[nn.Module]:
    """What is trained one after the other on a batch: everything, or block by block."""
    return list(hasher.blocks().values()) if recipe.phases == "blocks" else [hasher]


def loss_of(out: Outputs, targets: Targets, recipe: Recipe) -> Tensor:
    """The weighted sum of the terms."""
    r = recipe.model_copy(update=dict(CONSTANT)) if recipe.constant_weights else recipe
    within = within_term(out, targets.similarity)
    between = between_term(out, targets.similarity)
    loss = r.alpha * within + r.beta * between
    if r.graph and r.delta:
        graph = graph_term(out, targets.similarity)
        loss = loss + r.delta * graph
    if r.align:
        align = align_term(out)
        loss = loss + r.align * align
    if r.quantisation:
        quantisation = quantisation_term(out)
        loss = loss + r.quantisation * quantisation
    if r.balance:
        balance = balance_term(out)
        loss = loss + r.balance * balance
    if r.contrast:
        contrast = contrast_term(out, r.temperature)
        loss = loss + r.contrast * contrast
    return loss


def told(out: Outputs, targets: Targets) -> None:
    """What unstuck cannot know by itself; nothing happens unwatched."""
    unstuck.embedding("image.hash", out.image)
    unstuck.embedding("text.hash", out.text)
    unstuck.pair("image.hash", out.image, "text.hash", out.text)
    unstuck.targets(targets.similarity)


@torch.no_grad()
def codes_of(hasher: Hasher, split: Split) -> Codes:
    """Every query and every item of the database, each modality by its own network."""
    hasher.eval()
    codes = Codes(
        hasher.images(split.query.images).numpy(),
        hasher.texts(split.query.texts).numpy(),
        hasher.images(split.database.images).numpy(),
        hasher.texts(split.database.texts).numpy(),
    )
    hasher.train()
    return codes


def figures(codes: Codes, split: Split, real: bool = False) -> dict[str, float]:
    """mAP over the whole database and at 50, image to text and text to image, and their means.

    `real` ranks by the cosine of the codes before the sign, which no index of bits can do.
    """
    asked = split.query.labels.numpy(), split.database.labels.numpy()
    found: dict[str, float] = {}
    ways = {
        "image_to_text": (codes.query_image, codes.database_text),
        "text_to_image": (codes.query_text, codes.database_image),
    }
    for way, (query, database) in ways.items():
        distance = -_cosines(query, database) if real else hamming(signs(query), signs(database))
        found[f"map_{way}"] = mean_average_precision(distance, *asked, None)
        found[f"map_{AT}_{way}"] = mean_average_precision(distance, *asked, AT)
    for key in ("map", f"map_{AT}"):
        found[key] = float(np.mean([found[f"{key}_{way}"] for way in ways]))
    return found


def signs(codes: NDArray[np.float32]) -> NDArray[np.int8]:
    """-1 or 1; zero counts as 1."""
    return np.where(codes >= 0, 1, -1).astype(np.int8)


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b)]
    return np.asarray(unit[0] @ unit[1].T)


def described(split: Split) -> str:
    """How much of everything there is."""
    return (
        f"{len(split.train)} training items, {len(split.query)} queries, "
        f"{len(split.database)} in the database, {len(split.vocabulary)} words, "
        f"{len(split.classes)} classes"
    )


def shown(found: Mapping[str, float], recipe: Recipe, split: Split) -> str:
    """The figures with all that they depend on."""
    kind = "real codes of" if recipe.real_figures else ""
    return (
        f"mAP@all {found['map']:.3f}  mAP@{AT} {found[f'map_{AT}']:.3f}  ({kind} {recipe.bits} "
        f"bits, {len(split.query)} queries, database {len(split.database)})"
    )


def keep(
    out: Path, hasher: Hasher, codes: Codes, split: Split, metrics: Mapping[str, float]
) -> None:
    """Codes, weights, recipe and metrics in a folder."""
    out.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.generic]] = {}
    for name in Codes.__dataclass_fields__:
        real = getattr(codes, name)
        arrays |= {name: signs(real), f"{name}_real": real.astype(np.float16)}
    for name, pairs in (("query", split.query), ("database", split.database)):
        arrays |= {
            f"{name}_labels": pairs.labels.numpy(),
            f"{name}_keys": pairs.keys.numpy(),
            f"{name}_names": np.array(pairs.names),
        }
    np.savez_compressed(out / "codes.npz", allow_pickle=False, **arrays)
    torch.save(hasher.state_dict(), out / "model.pt")
    (out / "recipe.json").write_text(json.dumps(hasher.recipe.flat(), indent=1) + "\n")
    (out / "metrics.json").write_text(json.dumps(dict(metrics), indent=1) + "\n")


def main(arguments: list[str] | None = None) -> int:
    options = command.parser("unstuck.cases.agch.train", __doc__ or "").parse_args(arguments)
    try:
        metrics = train(command.recipe_of(options), options.seed, options.out, say=True)
    except (ValueError, PackageError) as error:
        print(error, file=sys.stderr)
        return 2
    print("  ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
