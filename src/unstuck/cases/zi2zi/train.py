"""Trains the zi2zi case. Read it top to bottom.

python -m unstuck.cases.zi2zi.train --source A.ttf --target B.ttf --preset repaired --out runs/zi2zi
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import unstuck
from unstuck.atomic import write_text
from unstuck.cases.zi2zi import checkpoint, command
from unstuck.cases.zi2zi.game import Batch, Game
from unstuck.cases.zi2zi.glyphs import Pairs, Split, load
from unstuck.cases.zi2zi.losses import right
from unstuck.cases.zi2zi.metrics import l1, ssim
from unstuck.cases.zi2zi.model import Discriminator, Generator, parameters
from unstuck.cases.zi2zi.printed import Log
from unstuck.cases.zi2zi.reach import unreached
from unstuck.cases.zi2zi.recipe import Recipe, Scalar, made
from unstuck.cases.zi2zi.registration import Registration, registration, warning
from unstuck.cases.zi2zi.sheet import sheet
from unstuck.data.package import PackageError

METRIC = "l1"  # of held-out characters, 0 to 1
HIGHER_IS_BETTER = False
UNIT = ""
MARGIN = 0.002  # about the spread between seeds of one recipe (README.md)
AT_ONCE = 50  # characters that are drawn together where nothing is learnt
SHOWN = 12  # held-out characters of a sample sheet


def train(
    recipe: Recipe | Mapping[str, Scalar],
    seed: int,
    out: Path | None = None,
    say: bool = False,
    resume: bool = False,
) -> dict[str, float]:
    """Trains one recipe with one seed; the metrics on characters that were never trained on.

    The seed fixes the split, the initialisation and the order of the data, so that two recipes with
    one seed differ in nothing but the recipe. With `out` every epoch leaves a checkpoint, and
    `resume` goes on from it: on a processor to the same weights, bit for bit.
    """
    r = recipe if isinstance(recipe, Recipe) else made(recipe)
    torch.set_num_threads(r.threads)
    split = load(r, seed)
    torch.manual_seed(seed)
    updates = len(split.train) // (r.batch_size * r.accumulation)
    if not updates:
        raise ValueError(
            f"{len(split.train)} training pairs are less than one update of {r.batch_size} x "
            f"{r.accumulation}: a smaller batch_size, or more characters"
        )
    game = Game(r, updates * r.epochs)
    first, history = 0, [] if out is None else checkpoint.begun(out, r, seed, resume)
    log = Log(out, say, r.epochs, updates)
    if history and out is not None:
        first = len(history)
        game.load(checkpoint.read(out / checkpoint.STATE)["game"])
    log.line(described(split, game))
    placed = registration(split.train.source, split.train.target)
    noted(placed)
    if misplaced := warning(placed):
        log.line(misplaced)
    for name, share in unreached(game, next(updates_of(split.train, r, seed, 0))[0]).items():
        unstuck.note({f"meant/{name}/unreached": share})

    for epoch in range(first, r.epochs):
        start = time.perf_counter()
        for i, batches in enumerate(updates_of(split.train, r, seed, epoch)):
            game.update(batches)
            log.update(epoch, i, game.said)
        found = figures(game, split.held_out)
        found["seconds"] = time.perf_counter() - start
        unstuck.log(val_l1=found["l1"], val_ssim=found["ssim"], d_accuracy=found["d_accuracy"])
        history.append(found)
        log.epoch(epoch, found, updates * r.batch_size * r.accumulation)
        if out is not None:
            state = {"game": game.state(), "history": history, "recipe": r.flat(), "seed": seed}
            checkpoint.save(out / checkpoint.STATE, state)
            picture(out, epoch, game.average, split)

    metrics = summary(history, updates * r.batch_size * r.accumulation) | {"seed": float(seed)}
    if out is not None:
        keep(out, game, split, metrics)
    return metrics


def noted(placed: Registration) -> None:
    """Tells unstuck how targets lie to sources, in px of 64; nothing happens unwatched."""
    scale = 64 / placed.size
    interval = 2 * placed.spread / max(1, placed.pairs) ** 0.5
    facts = {
        "dx": placed.x * scale,
        "dy": placed.y * scale,
        "offset": placed.length * scale,
        "low": (placed.length - interval) * scale,
        "agreement": placed.confidence,
        "pairs": placed.pairs,
    }
    unstuck.note({f"registration/pairs/{name}": value for name, value in facts.items()})


def updates_of(pairs: Pairs, recipe: Recipe, seed: int, epoch: int) -> Iterator[list[Batch]]:
    """The micro-batches of every update of an epoch, from seed and epoch alone.

    What is drawn by lot is drawn for a whole update, so that it does not depend on how the update
    is divided.
    """
    r, whole = recipe, recipe.batch_size * recipe.accumulation
    lots = torch.Generator().manual_seed(seed * 10_000 + epoch)
    order = torch.randperm(len(pairs), generator=lots)
    styles = int(pairs.styles.max()) + 1
    layout = torch.channels_last if r.channels_last else torch.contiguous_format
    for first in range(0, len(pairs) - whole + 1, whole):
        rows = order[first : first + whole]
        shifts = torch.randint(-r.shift, r.shift + 1, (2,), generator=lots).tolist()
        others = torch.randint(styles, (whole,), generator=lots)
        moves, holes = torch.rand(2, 4, whole, 2, generator=lots)
        found = []
        for part in torch.arange(whole).split(r.batch_size):
            source, target = (
                moved(x[rows[part]], shifts).to(r.device).contiguous(memory_format=layout)
                for x in (pairs.source, pairs.target)
            )
            rest = (pairs.styles[rows[part]], others[part], moves[:, part], holes[:, part])
            found.append(Batch(source, target, *(x.to(r.device) for x in rest)))
        yield found


def moved(pictures: Tensor, shift: list[int]) -> Tensor:
    """Pictures (n, 1, s, s) moved down and right by whole pixels, with paper where they were."""
    down, right_ = shift
    if not down and not right_:
        return pictures
    found = torch.roll(pictures, (down, right_), (2, 3))
    found[:, :, slice(0, down) if down > 0 else slice(found.shape[2] + down, None)] = 1.0
    found[..., slice(0, right_) if right_ > 0 else slice(found.shape[3] + right_, None)] = 1.0
    return found


@torch.no_grad()
def generated(generator: Generator, pairs: Pairs) -> Tensor:
    """What the generator draws (n, 1, s, s), in [-1, 1]."""
    device = next(generator.parameters()).device
    training = generator.training
    generator.eval()
    drawn = [
        generator(pairs.source[rows].to(device), pairs.styles[rows].to(device)).float().cpu()
        for rows in torch.arange(len(pairs)).split(AT_ONCE)
    ]
    generator.train(training)
    return torch.cat(drawn)


@torch.no_grad()
def judged(discriminator: Discriminator, pairs: Pairs, pictures: Tensor) -> Tensor:
    """Scores (n, 1) of pairs with these pictures."""
    device = next(discriminator.parameters()).device
    found = [
        discriminator(pairs.source[rows].to(device), pictures[rows].to(device)).real.cpu()
        for rows in torch.arange(len(pairs)).split(AT_ONCE)
    ]
    return torch.cat(found)


def figures(game: Game, held_out: Pairs) -> dict[str, float]:
    """L1 and SSIM of the averaged generator, and how well the other side tells it from real."""
    drawn = generated(game.average, held_out)
    scores = [judged(game.discriminator, held_out, x) for x in (held_out.target, drawn)]
    return {
        "l1": float(l1(drawn, held_out.target).mean()),
        "ssim": float(ssim(drawn, held_out.target).mean()),
        "d_accuracy": float(right(scores[0], scores[1], game.recipe.gan)),
        "d_loss": game.said["d_loss"],
        "g_loss": game.said["g_loss"],
    }


def summary(history: list[dict[str, float]], pictures: int) -> dict[str, float]:
    """The last figures, the range of the discriminator's accuracy in the second half, the speed."""
    later = [one["d_accuracy"] for one in history[len(history) // 2 :]]
    seconds = sum(one["seconds"] for one in history)
    return history[-1] | {
        "d_accuracy": float(np.mean(later)),
        "d_accuracy_least": min(later),
        "d_accuracy_most": max(later),
        "seconds": seconds,
        "images_per_second": pictures * len(history) / seconds,
    }


def described(split: Split, game: Game) -> str:
    """How much of everything there is."""
    count = f"{parameters(game.generator):,} parameters, discriminator "
    count += f"{parameters(game.discriminator):,}"
    return f"{count}; {len(split.train)} training pairs, {len(split.held_out)} held out"


def bytes_of(pictures: Tensor) -> NDArray[np.uint8]:
    """Pictures (n, 1, s, s) in [-1, 1] as (n, s, s), 0 ink and 255 paper."""
    grey = ((pictures[:, 0] + 1) * 127.5).round().clamp(0, 255)
    return np.asarray(grey.to(torch.uint8).numpy())


def picture(out: Path, epoch: int, generator: Generator, split: Split) -> None:
    """A sheet of held-out characters: source, drawn, target."""
    shown = split.held_out[torch.arange(min(SHOWN, len(split.held_out)))]
    columns = {
        "source": bytes_of(shown.source),
        "drawn": bytes_of(generated(generator, shown)),
        "target": bytes_of(shown.target),
    }
    folder = out / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    sheet(columns, shown.characters).save(folder / f"epoch-{epoch + 1:03d}.png")


def keep(out: Path, game: Game, split: Split, metrics: Mapping[str, float]) -> None:
    """Weights, held-out pictures, recipe and metrics in a folder."""
    held_out = split.held_out
    checkpoint.save(out / checkpoint.GENERATOR, game.average.state_dict())
    np.savez_compressed(
        out / "held_out.npz",
        allow_pickle=False,
        input=bytes_of(held_out.source),
        prediction=bytes_of(generated(game.average, held_out)),
        target=bytes_of(held_out.target),
        characters=np.array(held_out.characters),
        styles=held_out.styles.numpy(),
    )
    write_text(out / checkpoint.RECIPE, json.dumps(game.recipe.flat(), indent=1) + "\n")
    write_text(out / checkpoint.METRICS, json.dumps(dict(metrics), indent=1) + "\n")


def main(arguments: list[str] | None = None) -> int:
    options = command.parser("unstuck.cases.zi2zi.train", __doc__ or "")
    options.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    given = options.parse_args(arguments)
    try:
        recipe = command.recipe_of(given)
        metrics = train(recipe, given.seed, given.out, say=True, resume=given.resume)
    except (ValueError, PackageError, checkpoint.NotSavedError) as error:
        print(error, file=sys.stderr)
        return 2
    print("  ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
