"""What a training needs of a card's memory, layer by layer, and the largest batch that fits.

    unstuck case zi2zi plan-memory --preset reported --size 384 --set ngf=64 --set ndf=64 --card 15

Nothing is computed: both updates run on tensors without numbers, and what autograd keeps for the
backward pass is counted, each storage once. Weights, gradients, Adam's two moments and the averaged
generator are counted from the parameters. What cuDNN and the allocator take besides is not known
before it runs: a share of `RESERVE` is left for it.
"""

import math
import os
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from unstuck.cases.zi2zi import command, perception
from unstuck.cases.zi2zi.game import Batch, Game
from unstuck.cases.zi2zi.recipe import Recipe
from unstuck.data.package import PackageError

GB = 1e9
RESERVE = 0.1  # of the card
SIZES = (2, 3)  # batches that are looked at: what grows with the batch is their difference
COPIES = 4  # of each trained number: itself, its gradient, Adam's two moments
ROWS = 12  # layers shown
BETWEEN = "between layers, and the terms"


@dataclass(frozen=True, slots=True)
class Plan:
    """Bytes: `standing` whatever the batch, `each` for one pair more, and `layers` of these."""

    standing: float
    each: float
    layers: Mapping[str, float]

    def needs(self, batch: int) -> float:
        return self.standing + batch * self.each

    def largest(self, card: float) -> int:
        """The largest batch that leaves the reserve free; 0 where none does."""
        return max(0, int(((1 - RESERVE) * card - self.standing) / self.each))


def plan(recipe: Recipe) -> Plan:
    """Counts the update of either network that keeps more; PackageError without MobileNetV2."""
    r = recipe.model_copy(update={"compile": False, "device": "cpu", "channels_last": False})
    if r.perceptual:
        perception.network("cpu")  # its numbers are real: it is loaded outside
    kept = [_kept(r.model_copy(update={"batch_size": n, "accumulation": 1})) for n in SIZES]
    updates = []
    for few, more in zip(*kept, strict=True):  # the discriminator's, the generator's
        layers = {name: (more[name] - few.get(name, 0)) / (SIZES[1] - SIZES[0]) for name in more}
        each = sum(layers.values())
        updates.append((each, sum(few.values()) - SIZES[0] * each, layers))
    each, rest, layers = max(updates, key=lambda update: update[0])
    return Plan(_standing(r) + max(0.0, rest), each, layers)


def _standing(r: Recipe) -> float:
    """Weights and what is kept of each; the average has no gradients and no moments."""
    with FakeTensorMode(), _quiet():
        game = Game(r, 1)
        sizes = [
            sum(p.numel() * p.element_size() for p in network.parameters())
            for network in (game.generator, game.discriminator)
        ]
    return COPIES * sum(sizes) + sizes[0]


def _kept(r: Recipe) -> tuple[dict[str, float], dict[str, float]]:
    """Bytes kept by layer in the discriminator's and in the generator's update."""
    with FakeTensorMode(allow_non_fake_inputs=True), _quiet():
        game = Game(r, 1)
        n, side = r.batch_size, r.size
        source, target = torch.empty(n, 1, side, side), torch.empty(n, 1, side, side)
        styles = torch.zeros(n, dtype=torch.long)
        moves, holes = torch.rand(4, n, 2), torch.rand(4, n, 2)
        batch = Batch(source, target, styles, styles, moves, holes)
        with _counted(game) as first:
            drawn = game._draw(batch.source, batch.styles)  # its graph waits for the generator
            terms = game._discriminator_terms(batch, drawn[0].detach()) if game.plays else {}
        game.discriminator.requires_grad_(False)
        with _counted(game) as second:
            terms |= game._generator_terms(batch, None)
        del terms  # the graphs are held up to here
    return dict(first), dict(second)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warning that a copied tensor has no numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@contextmanager
def _counted(game: Game) -> Iterator[defaultdict[str, float]]:
    """Counts what autograd saves, by the layer that runs; weights are not counted."""
    found: defaultdict[str, float] = defaultdict(float)
    running, seen, held = [BETWEEN], set(), []
    networks = {"generator": game.generator, "discriminator": game.discriminator}
    for parameter in (p for network in networks.values() for p in network.parameters()):
        seen.add(_storage(parameter))

    def save(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in seen:
            seen.add(_storage(tensor))
            held.append(tensor)  # so that no other storage gets its address
            found[running[-1]] += tensor.untyped_storage().nbytes()
        return tensor

    with ExitStack() as stack:
        for name, network in networks.items():
            for part, layer in network.named_modules():
                if part.count(".") == 1 or isinstance(layer, nn.Linear):
                    enter, leave = _followed(running, f"{name}.{part}")
                    stack.callback(layer.register_forward_pre_hook(enter).remove)
                    stack.callback(layer.register_forward_hook(leave).remove)
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(save, lambda x: x))
        yield found


def _followed(running: list[str], name: str) -> tuple[Any, Any]:
    """Hooks that note which layer runs."""

    def enter(*_: Any) -> None:
        running.append(name)

    def leave(*_: Any) -> None:
        running.pop()

    return enter, leave


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def shown(recipe: Recipe, card: float, wished: int, console: Console) -> None:
    """The plan as a table, and what fits on the card."""
    found = plan(recipe)
    table = Table("layer", "kept for a pair", title=f"{recipe.size} px, ngf {recipe.ngf}")
    largest = sorted(found.layers.items(), key=lambda item: -item[1])
    for name, size in largest[:ROWS]:
        table.add_row(name, f"{size / 1e6:.2f} MB")
    rest = sum(size for _, size in largest[ROWS:])
    table.add_row("all others", f"{rest / 1e6:.2f} MB")
    console.print(table)
    console.print(
        f"standing {found.standing / GB:.2f} GB (weights, gradients, Adam, average), "
        f"{found.each / 1e6:.1f} MB for each pair of a batch"
    )
    most = found.largest(card)
    if not most:
        console.print(f"not even one pair fits on {card / GB:g} GB")
        return
    console.print(f"largest batch on {card / GB:g} GB: {most}, with {RESERVE:.0%} left free")
    if wished > most:
        parts = -(-wished // most)
        size = -(-wished // parts)
        console.print(f"for {wished}: --set batch_size={size} --set accumulation={parts}")


def main(arguments: list[str] | None = None) -> int:
    options = command.parser("unstuck.cases.zi2zi.plan_memory", __doc__ or "")
    options.add_argument("--card", type=float, default=15.0, help="GB of the card")
    options.add_argument("--batch", type=int, default=64, help="the batch that is wished for")
    given = options.parse_args(arguments)
    if not given.source:
        given.source, given.target = "a.ttf", ["b.ttf"]  # any: no picture is drawn
    try:
        if not 0 < given.card < math.inf or given.batch < 1:
            raise ValueError("--card takes GB above 0, --batch pictures above 0")
        console = Console(highlight=False, width=int(os.environ.get("COLUMNS", "100")))
        shown(command.recipe_of(given), given.card * GB, given.batch, console)
    except (ValueError, PackageError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
