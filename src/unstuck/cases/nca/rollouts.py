"""A rule at work: first states, rollouts of any length, and how wrong they are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.scenes import Scene, Task

TIMES = (1, 2, 4, 10)  # the steps of training, at which a rule is judged
AT_ONCE = 8  # canvases
SEED = 1234  # of the random numbers that cells are judged under


def begun(
    model: Automaton, task: Task, entries: Tensor, side: int, patch: int = 0
) -> tuple[Tensor, ...]:
    """First states of every level, coarsest first: finer ones begin with what is handed down.

    With `patch`, levels that are wider are crops of so many cells.
    """
    first, *finer = (min(s, patch or s) for s in model.sides(side))
    channels = model.recipe.channels
    rest = (torch.zeros(len(entries), channels, s, s) for s in finer)
    return (task.start(entries, first, channels), *rest)


@torch.no_grad()
def rolled(
    model: Automaton, states: Sequence[Tensor], scene: Scene, steps: float, fresh: bool
) -> tuple[Tensor, ...]:
    """States so many steps of the finest level later; if fresh, finer levels begin anew."""
    where = torch.full((len(states[0]),), fresh, device=states[0].device)
    found: tuple[Tensor, ...] = model(*states, given=scene.given, steps=steps, fresh=where)
    return found


@torch.no_grad()
def lasting(
    model: Automaton, task: Task, times: Sequence[int] = TIMES, entries: Tensor | None = None
) -> dict[int, float]:
    """Mean error on held-out canvases after so many times the trained steps."""
    entries = task.held_out() if entries is None else entries
    device = next(model.parameters()).device
    total = dict.fromkeys(times, 0.0)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        for part in entries.split(AT_ONCE):
            scene = task.scene(part, task.size).to(str(device))
            states = tuple(s.to(device) for s in begun(model, task, part, task.size))
            done = 0
            for at in times:
                more = model.recipe.steps_most * (at - done)
                states = rolled(model, states, scene, more, fresh=done == 0)
                done = at
                total[at] += float(scene.error(model.read(states)).sum())
    return {at: found / len(entries) for at, found in total.items()}


@torch.no_grad()
def shown(model: Automaton, task: Task, count: int = 4, times: int = 1) -> tuple[Tensor, Scene]:
    """What is built on some held-out canvases (n, outputs, h, w), and what was wanted."""
    device = next(model.parameters()).device
    part = task.held_out()[:count]
    scene = task.scene(part, task.size)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        states = tuple(s.to(device) for s in begun(model, task, part, task.size))
        steps = model.recipe.steps_most * times
        states = rolled(model, states, scene.to(str(device)), steps, fresh=True)
    return model.read(states).cpu(), scene
