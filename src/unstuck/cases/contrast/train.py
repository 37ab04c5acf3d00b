"""Trains the contrast case. Read it top to bottom.

python -m unstuck.cases.contrast.train --preset notes --out runs/notes
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import torch

import unstuck
from unstuck.cases.contrast import command, pictures
from unstuck.cases.contrast.data import batches, make_pairs
from unstuck.cases.contrast.diagnose import diagnose, reliance_facts
from unstuck.cases.contrast.evaluate import baselines, evaluate, held_out_terms, shown
from unstuck.cases.contrast.losses import content_term, cross_term, edge_term, recon_term
from unstuck.cases.contrast.model import ContrastNet, count_parameters
from unstuck.cases.contrast.recipe import Recipe, Scalar, made

METRIC = "psnr"  # held-out subjects, b -> a, only b given
HIGHER_IS_BETTER = True
UNIT = "dB"
MARGIN = 0.3  # dB: about the spread between seeds of one recipe (README.md)
REPORTS = 5  # times held-out subjects are looked at during training


def train(
    recipe: Recipe | Mapping[str, Scalar], seed: int, out: Path | None = None, say: bool = False
) -> dict[str, float]:
    """Trains one recipe with one seed; the metrics on held-out subjects.

    The seed fixes subjects, noise, initialisation and the order of the data, each with a generator
    of its own, so that two recipes with one seed differ in nothing but the recipe.
    """
    r = recipe if isinstance(recipe, Recipe) else made(recipe)
    torch.set_num_threads(r.threads)
    check_device(r.device)
    train_pairs, held_out = make_pairs(r, seed)
    torch.manual_seed(seed)
    model = ContrastNet(r).to(r.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=r.lr, weight_decay=r.weight_decay)
    if say:
        print(f"{count_parameters(model):,} parameters, {len(train_pairs)} training pairs")

    start = time.perf_counter()
    for step, batch in enumerate(batches(train_pairs, r.batch_size, r.steps, seed)):
        paths = model(batch.a, batch.b)
        content = content_term(paths)
        recon = recon_term(paths, batch.a_again, batch.b_again)
        cross = cross_term(paths, batch.a_again, batch.b_again)
        loss = r.content_weight * content + r.recon_weight * recon + r.cross_weight * cross
        if r.edge_weight:
            edge = edge_term(paths, batch.a_again, batch.b_again)
            loss = loss + r.edge_weight * edge

        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), r.clip)
        optimizer.step()

        if (step + 1) % max(1, r.steps // REPORTS) == 0 or step + 1 == r.steps:
            held = held_out_terms(model, r, held_out)
            psnr = evaluate(model, held_out)["psnr"]
            unstuck.log(val_psnr=psnr, val_loss=held["loss"])
            if say:
                terms = "  ".join(f"{name} {value:.4f}" for name, value in held.items())
                print(f"step {step + 1:4d}  {terms}  psnr {psnr:.2f} dB", flush=True)

    seconds = time.perf_counter() - start
    metrics = evaluate(model, held_out) | held_out_terms(model, r, held_out)
    metrics |= baselines(train_pairs, held_out) | {"seconds": seconds, "seed": float(seed)}
    unstuck.note(reliance_facts(model, held_out))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        pictures.write(shown(model, held_out), out)
        torch.save(model.state_dict(), out / "model.pt")
        (out / "recipe.json").write_text(json.dumps(r.flat(), indent=1) + "\n")
        (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    if say:
        diagnose(model, [held_out], say=True)
    return metrics


def check_device(name: str) -> None:
    """ValueError where there is no such device here."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch uses both
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used here: {reason}") from None


def main(arguments: list[str] | None = None) -> int:
    options = command.parser("unstuck.cases.contrast.train", __doc__ or "").parse_args(arguments)
    try:
        metrics = train(command.recipe_of(options), options.seed, options.out, say=True)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print("  ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
