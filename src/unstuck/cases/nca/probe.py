"""The trained rule as the subject of experiments: `unstuck case probe nca --run DIR`.

Without `--run` one is trained first. The model of the experiments is a whole rollout, from what is
given, or from the first state, to what is read. First states of one level that grows are disturbed;
a flow begins with nothing, and what is given says all.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

import unstuck
from unstuck.cases.nca import command
from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.checkpoint import trained
from unstuck.cases.nca.rollouts import begun, rolled
from unstuck.cases.nca.scenes import Scene, Task

BATCHES = 4  # of training data
SAMPLES = 8


class Rollout(nn.Module):
    """A training rollout: `forward(x)` of what is given, or of the first state of one level."""

    def __init__(self, model: Automaton, task: Task) -> None:
        super().__init__()
        self.model, self.task = model, task

    def forward(self, x: Tensor) -> Tensor:
        states: tuple[Tensor, ...] = (x,)
        given = None
        if self.task.given:
            given = x
            entries = torch.zeros(len(x), 4)
            states = begun(self.model, self.task, entries, x.shape[-1])
        fresh = torch.ones(len(x), dtype=torch.bool)
        steps = self.model.recipe.steps_most
        return self.model.read(self.model(*states, given=given, steps=steps, fresh=fresh))


def subject(arguments: list[str] | None = None) -> unstuck.Subject:
    """A rollout of the rule with its scenes."""
    options = command.parser("unstuck.cases.nca.probe", __doc__ or "")
    options.add_argument("--run", type=Path, help="folder that `train --out` left")
    chosen = options.parse_args(arguments)
    if chosen.run is None:
        from unstuck.cases.nca.train import train

        chosen.run = chosen.out or Path("runs/nca-probe")
        train(command.recipe_of(chosen), chosen.seed, chosen.run)
    return subject_of(*trained(chosen.run), chosen.seed)


def subject_of(model: Automaton, task: Task, seed: int) -> unstuck.Subject:
    """The same of a rule at hand."""
    r = model.recipe
    side = r.side if r.levels == 1 else r.size
    lots = torch.Generator().manual_seed(seed)
    first, *further = [
        batch_of(model, task, task.entries(SAMPLES, side, lots), side) for _ in range(BATCHES)
    ]
    full = batch_of(model, task, task.held_out()[:SAMPLES], task.size)

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        x, target, mask = batch
        return Scene(None, target, mask).error(model(x)).mean()

    return unstuck.Subject(
        Rollout(model, task).train(),
        first,
        loss,
        torch.optim.Adam(model.parameters(), lr=r.lr),
        batches=further,
        held_out=[full],
        name="rule",
        full=full if side < task.size else None,
        rollout=rollout(model, task) if r.levels == 1 and r.task == "grow" else None,
    )


def batch_of(
    model: Automaton, task: Task, entries: Tensor, side: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What is given or the first state, what is wanted, and where it counts."""
    scene = task.scene(entries, side)
    x = begun(model, task, entries, side)[0] if scene.given is None else scene.given
    return x, scene.target, scene.mask


def rollout(model: Automaton, task: Task) -> unstuck.Rollout:
    """The first states of held-out canvases, and how they go on."""
    part = task.held_out()[:4]
    scene = task.scene(part, task.size)

    def few(count: int) -> Scene:
        given = None if scene.given is None else scene.given[:count]
        return Scene(given, scene.target[:count], scene.mask[:count])

    def advance(state: Tensor, steps: int) -> Tensor:
        return rolled(model, (state,), few(len(state)), steps, fresh=False)[0]

    def error(state: Tensor) -> Tensor:
        return few(len(state)).error(model.read((state,)))

    state = begun(model, task, part, task.size)[0]
    return unstuck.Rollout(state, advance, model.recipe.steps_most, error)
