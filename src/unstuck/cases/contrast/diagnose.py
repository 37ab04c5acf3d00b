"""Examines a trained model: what its latent holds, what its paths live on, what its losses reach.

python -m unstuck.cases.contrast.diagnose --preset notes      trains first
python -m unstuck.cases.contrast.diagnose --run runs/notes    a model that `train --out` left
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_gradient_magnitude
from skimage.registration import phase_cross_correlation
from torch import Tensor
from torch.nn.functional import l1_loss

import unstuck
from unstuck.cases.contrast import command
from unstuck.cases.contrast.data import Pairs, make_pairs
from unstuck.cases.contrast.evaluate import magnitude
from unstuck.cases.contrast.losses import content_term, cross_term, recon_term
from unstuck.cases.contrast.model import ContrastNet, Skips, zeros_like
from unstuck.cases.contrast.recipe import made

Facts = dict[str, float]


def diagnose(model: ContrastNet, batches: Iterable[Pairs], say: bool = False) -> Facts:
    """Every measurement below, averaged over the batches; with `say`, printed as a table."""
    model.eval()
    seen = [measured(model, batch) for batch in batches]
    model.train()
    if not seen:
        raise ValueError("diagnose needs at least one batch")
    facts = {name: float(np.mean([s[name] for s in seen])) for name in seen[0]}
    if say:
        print_facts(facts)
    return facts


def measured(model: ContrastNet, batch: Pairs) -> Facts:
    return {
        **latent_facts(model, batch),
        **error_facts(model, batch),
        **reach_facts(model, batch),
        **reliance_facts(model, batch),
        "registration/offset_px": offset(batch),
    }


@torch.no_grad()
def latent_facts(model: ContrastNet, batch: Pairs) -> Facts:
    """Distance of a pair's latents, also over that of different subjects (1: pairs are no closer);
    spread over the batch at fixed position; how well z tells the contrasts apart (0.5: not)."""
    z_a, z_b = model.encoder(batch.a)[0], model.encoder(batch.b)[0]
    distance = float(l1_loss(z_a, z_b))
    others = float(l1_loss(z_a, z_b.roll(len(z_b) // 2, 0)))
    return {
        "latent/distance": distance,
        "latent/distance_relative": distance / max(others, 1e-12),
        "latent/batch_std": float(z_a.std(0).mean()),
        "latent/domain_accuracy": domain_accuracy(z_a, z_b),
    }


def domain_accuracy(z_a: Tensor, z_b: Tensor) -> float:
    """Accuracy of a ridge classifier on position means of z, trained on one half of the images
    and tested on the other, both ways."""
    features = torch.stack([z_a.mean((2, 3)), z_b.mean((2, 3))], 1).double().cpu()  # (n, 2, c)
    n, _, width = features.shape
    halves = (slice(0, n // 2), slice(n // 2, n))
    right = 0.0
    for fit, test in (halves, halves[::-1]):
        x = features[fit].reshape(-1, width)
        mean, std = x.mean(0), x.std(0).clamp_min(1e-9)
        x = (x - mean) / std
        y = torch.tensor([-1.0, 1.0], dtype=x.dtype).repeat(len(x) // 2)
        weight = torch.linalg.solve(x.T @ x + torch.eye(width, dtype=x.dtype), x.T @ y)
        score = ((features[test].reshape(-1, width) - mean) / std) @ weight
        truth = torch.tensor([-1.0, 1.0], dtype=x.dtype).repeat(len(score) // 2)
        right += float((score.sign() == truth).double().mean()) / 2
    return right


@torch.no_grad()
def error_facts(model: ContrastNet, batch: Pairs) -> Facts:
    """L1 errors of both kinds of path with their own, no, another subject's and the target's
    skips. A path without skips has only its own."""
    z_a, skips_a = model.encoder(batch.a)
    z_b, skips_b = model.encoder(batch.b)
    facts = {}
    paths = (
        ("recon", z_a, model.same_skips(skips_a), skips_a),
        ("cross", z_b, model.cross_skips(skips_b, skips_a), skips_a),
    )
    for name, z, own, target in paths:
        kinds: dict[str, Skips | None] = {"own": own}
        if own is not None:
            kinds["zero"] = zeros_like(own)
            kinds["another"] = [s.roll(len(s) // 2, 0) for s in own]
            kinds["target"] = target
        for kind, skips in kinds.items():
            facts[f"{name}/{kind}"] = float(l1_loss(model.decoder_a(z, skips), batch.a_again))
    return facts


def reach_facts(model: ContrastNet, batch: Pairs) -> Facts:
    """Share of each module's parameter tensors that each term of the loss gives a gradient."""
    out = model(batch.a, batch.b)
    terms = {
        "content": content_term(out),
        "recon": recon_term(out, batch.a_again, batch.b_again),
        "cross": cross_term(out, batch.a_again, batch.b_again),
    }
    facts = {}
    for term, value in terms.items():
        for name, module in model.named_children():
            parameters = list(module.parameters())
            gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
            reached = sum(g is not None and bool(g.any()) for g in gradients)
            facts[f"reach/{term}/{name}"] = reached / len(parameters)
    return facts


@torch.no_grad()
def reliance_facts(model: ContrastNet, batch: Pairs) -> Facts:
    """The probe path-reliance on the paths to contrast a."""
    training = model.training
    model.eval()
    z_a, skips_a = model.encoder(batch.a)
    z_b, skips_b = model.encoder(batch.b)
    model.train(training)

    def error(prediction: Tensor) -> Tensor:
        return l1_loss(prediction, batch.a_clean)

    decode: Callable[[Tensor, Skips | None], Tensor] = model.decoder_a
    same = model.same_skips(skips_a)
    cross = model.cross_skips(skips_b, skips_a)
    known = model.cross_skips(skips_b, None) if model.strategy == "target_skip" else None
    return {
        **unstuck.path_reliance("same", decode, z_a, same, error),
        **unstuck.path_reliance("cross", decode, z_b, cross, error, known=known),
    }


def offset(batch: Pairs) -> float:
    """Median distance in px by which the contrasts of a pair are shifted against each other.

    Phase correlation of the edges, which both contrasts share, to a tenth of a pixel.
    """
    shifts = [
        phase_cross_correlation(edges(a), edges(b), upsample_factor=10)[0]
        for a, b in zip(magnitude(batch.a).cpu(), magnitude(batch.b).cpu(), strict=True)
    ]
    return float(np.median(np.hypot(*np.transpose(shifts))))


def edges(image: Tensor) -> np.ndarray:
    return np.asarray(gaussian_gradient_magnitude(image.numpy().astype(np.float64), 1.0))


def print_facts(facts: Facts) -> None:
    table = Table("measured", "value", title="contrast: what the model lives on")
    for name, value in facts.items():
        table.add_row(name, f"{value:.4g}")
    Console().print(table)


def trained(folder: Path) -> tuple[ContrastNet, Pairs]:
    """The model that `train --out` left in a folder, and its held-out pairs."""
    try:
        recipe = made(json.loads((folder / "recipe.json").read_text(encoding="utf-8")))
        seed = int(json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["seed"])
        model = ContrastNet(recipe).to(recipe.device)
        weights = torch.load(folder / "model.pt", weights_only=True, map_location=recipe.device)
        model.load_state_dict(weights)
    except (OSError, KeyError, RuntimeError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder} holds no model left by `train --out`: {error}") from None
    return model, make_pairs(recipe, seed)[1]


def main(arguments: list[str] | None = None) -> int:
    options = command.parser("unstuck.cases.contrast.diagnose", __doc__ or "")
    options.add_argument("--run", type=Path, help="folder that `train --out` left")
    options.add_argument("--batches", type=int, default=2, help="held-out batches to average over")
    chosen = options.parse_args(arguments)
    try:
        if chosen.run is None:
            from unstuck.cases.contrast.train import train

            chosen.run = chosen.out or Path("runs/contrast-diagnose")
            train(command.recipe_of(chosen), chosen.seed, chosen.run)
        model, held_out = trained(chosen.run)
        if not 1 <= chosen.batches <= len(held_out) // 2:
            raise ValueError(f"--batches must lie between 1 and {len(held_out) // 2}")
        parts = torch.arange(len(held_out)).chunk(chosen.batches)
        diagnose(model, (held_out[part] for part in parts), say=True)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
