"""The trained model as the subject of experiments: `unstuck case probe contrast --preset notes`.

With `--run DIR`, a model that `train --out DIR` left; else one is trained first.
"""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

import unstuck
from unstuck.cases.contrast import command
from unstuck.cases.contrast.data import Pairs, make_pairs
from unstuck.cases.contrast.diagnose import trained
from unstuck.cases.contrast.evaluate import magnitude
from unstuck.cases.contrast.losses import content_term, cross_term, edge_term, recon_term
from unstuck.cases.contrast.model import ContrastNet, Outputs
from unstuck.cases.contrast.recipe import Recipe, made

BATCHES = 8  # of training data at most


def subject(arguments: list[str] | None = None) -> unstuck.Subject:
    """The model with its training data; `at_use` gives the cross paths what there is at use."""
    options = command.parser("unstuck.cases.contrast.probe", __doc__ or "")
    options.add_argument("--run", type=Path, help="folder that `train --out` left")
    chosen = options.parse_args(arguments)
    if chosen.run is None:
        from unstuck.cases.contrast.train import train

        chosen.run = chosen.out or Path("runs/contrast-probe")
        train(command.recipe_of(chosen), chosen.seed, chosen.run)
    model, held_out = trained(chosen.run)
    r = made(json.loads((chosen.run / "recipe.json").read_text(encoding="utf-8")))
    seed = int(json.loads((chosen.run / "metrics.json").read_text(encoding="utf-8"))["seed"])
    pairs = make_pairs(r, seed)[0]
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))
    first, *further = (pairs[part] for part in order.split(r.batch_size)[:BATCHES])

    def loss(model: nn.Module, batch: Pairs) -> dict[str, Tensor]:
        return terms(r, model(batch.a, batch.b), batch)

    def at_use(model: ContrastNet, batch: Pairs) -> Tensor:
        across = {
            "b_from_a": model.translate(batch.a, "b"),
            "a_from_b": model.translate(batch.b, "a"),
        }
        found = terms(r, model(batch.a, batch.b)._replace(**across), batch)
        return torch.stack(list(found.values())).sum()

    return unstuck.Subject(
        model,
        first,
        loss,
        torch.optim.AdamW(model.parameters(), lr=r.lr, weight_decay=r.weight_decay),
        batches=further,
        held_out=[held_out],
        name="contrast",
        at_use=at_use,
        latents=("encoder.to_latent",),
        paired=lambda batch: (magnitude(batch.a)[:, None], magnitude(batch.b)[:, None]),
    )


def terms(r: Recipe, out: Outputs, batch: Pairs) -> dict[str, Tensor]:
    """The weighted terms of the loss, as `train` adds them up."""
    found = {
        "content": r.content_weight * content_term(out),
        "recon": r.recon_weight * recon_term(out, batch.a_again, batch.b_again),
        "cross": r.cross_weight * cross_term(out, batch.a_again, batch.b_again),
    }
    if r.edge_weight:
        found["edge"] = r.edge_weight * edge_term(out, batch.a_again, batch.b_again)
    return found
