"""What each term of the generator's loss teaches, told before anything is trained."""

import torch

from unstuck.cases.zi2zi.game import Batch, Game


def unreached(game: Game, batch: Batch) -> dict[str, float]:
    """By term: the share of the tensors that draw, to which it gives no gradient.

    Every term is of what is drawn, so each is meant to teach whatever L1 teaches. Terms of the
    discriminator are not looked at. Nothing is changed, random numbers included.
    """
    weights = [p for p in game.generator.parameters() if p.requires_grad]
    with torch.random.fork_rng(devices=[]), game.cast():
        drawn, code = game.generator.drawn(batch.source, batch.styles)
        given = {
            name: torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
            for name, term in game.picture_terms(batch, drawn, code).items()
        }
    drawing = [i for i, grad in enumerate(given["l1_loss"]) if grad is not None]
    return {
        name: sum(grads[i] is None for i in drawing) / len(drawing) for name, grads in given.items()
    }
