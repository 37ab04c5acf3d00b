"""How many pictures a second the font GAN trains on, where the time goes, what each switch brings.

    python bench/font_training.py                      64 px, batches of 16, the embedded sample
    python bench/font_training.py --device cuda --size 256 --full

Forms take turns, so that a busy machine slows all of them alike: ratios are of medians. `--full` is
the published generator (ngf 64, added skips, attention); its pictures are noise where there are no
fonts, which costs the same.
"""

import argparse
import statistics
import time

import torch
from torch.profiler import ProfilerActivity, profile

from unstuck.cases.zi2zi.game import Batch, Game
from unstuck.cases.zi2zi.recipe import PRESETS, Recipe

ROUNDS, UPDATES, WARM = 5, 8, 3
FULL = {"ngf": 64, "ndf": 64, "skips": "added", "attention": "innermost"}
ROWS = 12  # of the profile


def forms(base: Recipe, device: str) -> dict[str, Recipe]:
    """What is compared; the first is the plain loop."""
    found = {
        "repaired, fp32": base,
        "no perceptual term": base.model_copy(update={"perceptual": 0.0}),
        "no game (L1, perceptual)": base.model_copy(update={"lambda_adv": 0.0, "category": 0.0}),
        "channels last": base.model_copy(update={"channels_last": True}),
        "bf16": base.model_copy(update={"amp": True}),
    }
    if device != "cpu":
        fast = {"amp": True, "channels_last": True, "compile": True}
        found["bf16, channels last, compiled"] = base.model_copy(update=fast)
    return found


def batch(recipe: Recipe) -> Batch:
    n, side = recipe.batch_size, recipe.size
    lots = torch.Generator().manual_seed(0)
    source, target = torch.rand(2, n, 1, side, side, generator=lots) * 2 - 1
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    moves, holes = torch.rand(2, 4, n, 2, generator=lots)
    styles = torch.zeros(n, dtype=torch.long)
    pictures = (x.to(recipe.device).contiguous(memory_format=layout) for x in (source, target))
    rest = (x.to(recipe.device) for x in (styles, styles, moves, holes))
    return Batch(*pictures, *rest)


def seconds(game: Game, one: Batch) -> float:
    start = time.perf_counter()
    for _ in range(UPDATES):
        game.update([one])
    if game.recipe.device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", default="cpu")
    options.add_argument("--size", type=int, default=64)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--full", action="store_true", help="the published widths")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    fonts = {"source": "a.ttf", "target": "b.ttf"} if given.size != 64 else {}
    changes = {"size": given.size, "batch_size": given.batch, "device": given.device} | fonts
    base = Recipe(**PRESETS["repaired"].flat() | changes | (FULL if given.full else {}))
    games = {name: Game(r, 1000) for name, r in forms(base, given.device).items()}
    batches = {name: batch(game.recipe) for name, game in games.items()}
    for name, game in games.items():
        for _ in range(WARM):
            game.update([batches[name]])
    took: dict[str, list[float]] = {name: [] for name in games}
    for _ in range(ROUNDS):
        for name, game in games.items():
            took[name].append(seconds(game, batches[name]))
    plain = statistics.median(next(iter(took.values())))
    for name, values in took.items():
        rate = UPDATES * given.batch / statistics.median(values)
        print(f"{name:32s} {rate:8.1f} pictures/s  {plain / statistics.median(values):5.2f} x")

    name, game = next(iter(games.items()))
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if given.device != "cpu" else [])
    with profile(activities=kinds) as found:
        seconds(game, batches[name])
    order = "self_cpu_time_total" if given.device == "cpu" else "self_cuda_time_total"
    print(found.key_averages().table(sort_by=order, row_limit=ROWS, max_name_column_width=40))


if __name__ == "__main__":
    main()
