"""What is measured of a trained rule: sizes, steps, damage, first states, memory and speed."""

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.pool import disc
from unstuck.cases.nca.recipe import Recipe
from unstuck.cases.nca.rollouts import SEED, TIMES, begun, lasting, rolled
from unstuck.cases.nca.scenes import Scene, Task

SIZES = (1, 2, 4)  # times the trained canvas
CANVASES = 4  # that costly measures look at
HOLES = {"middle": (0.0, 0.0), "left": (0.0, -0.25), "below": (0.25, 0.0)}
RADIUS = 0.15  # of a hole, in canvases
MOVES = ((0, 0), (3, 0), (0, -3), (-2, 2))  # px the seed is put aside
NOISE = 0.05  # of the first state


def across_sizes(
    model: Automaton, task_of: Callable[[Recipe, int], Task], times: tuple[int, ...] = TIMES
) -> dict[int, dict[int, float]]:
    """Mean error by times the size and times the steps; a rule without levels gets more steps.

    What is grown is as large on a canvas of another size: the rule is asked for the same picture in
    more room. Flow fills its canvas: obstacles are as many and as much larger.
    """
    r, found = model.recipe, {}
    for scale in SIZES:
        task = task_of(r, r.size * scale)
        entries = task.held_out()
        found[scale] = lasting(model, task, times, entries if scale == 1 else entries[:CANVASES])
    return found


@torch.no_grad()
def damaged(model: Automaton, task: Task) -> dict[str, tuple[float, float, float]]:
    """By hole: error before it, right after it, and a training rollout later."""
    found = {}
    part = task.held_out()[:CANVASES]
    scene = task.scene(part, task.size)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        states = grown(model, task, part, scene)
        before = _error(model, states, scene)
        for name, (row, column) in HOLES.items():
            hurt = tuple(
                s * disc(s.shape[-1], torch.tensor([row, column]), RADIUS).to(s) for s in states
            )
            later = rolled(model, hurt, scene, model.recipe.steps_most, fresh=False)
            found[name] = (before, _error(model, hurt, scene), _error(model, later, scene))
    return found


@torch.no_grad()
def from_elsewhere(model: Automaton, task: Task) -> dict[str, float]:
    """Error from first states that are moved (grow), or noisy."""
    part = task.held_out()[:CANVASES]
    scene = task.scene(part, task.size)
    found = {}
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        first = begun(model, task, part, task.size)
        changes: dict[str, Tensor] = {"as trained": first[0]}
        if bool((first[0] != 0).any()):
            noise = torch.randn_like(first[0]) * (first[0] != 0)
            changes |= {f"moved {y}, {x}": first[0].roll((y, x), (2, 3)) for y, x in MOVES[1:]}
        else:
            noise = torch.randn_like(first[0])
        changes["noise"] = first[0] + NOISE * noise
        factor = task.size // first[0].shape[-1]
        for name, state in changes.items():
            torch.manual_seed(SEED)
            states = rolled(model, (state, *first[1:]), scene, model.recipe.steps_most, fresh=True)
            built = model.read(states)
            if name.startswith("moved"):
                row, column = (int(word) for word in name[6:].split(", "))
                built = built.roll((-row * factor, -column * factor), (2, 3))
            found[name] = float(scene.error(built).mean())
    return found


def grown(model: Automaton, task: Task, part: Tensor, scene: Scene) -> tuple[Tensor, ...]:
    """States after a training rollout from the first ones."""
    states = begun(model, task, part, task.size)
    return rolled(model, states, scene, model.recipe.steps_most, fresh=True)


def _error(model: Automaton, states: tuple[Tensor, ...], scene: Scene) -> float:
    return float(scene.error(model.read(states)).mean())


def steps_per_second(model: Automaton, task: Task, count: int = 3) -> float:
    """Steps of the finest level that one canvas makes in a second, without gradients."""
    part = task.held_out()[:1]
    scene = task.scene(part, task.size)
    states = begun(model, task, part, task.size)
    steps = model.recipe.steps_most
    rolled(model, states, scene, steps, fresh=True)
    start = time.perf_counter()
    for _ in range(count):
        rolled(model, states, scene, steps, fresh=True)
    return count * steps / (time.perf_counter() - start)


def kept_bytes(run: Callable[[], Tensor]) -> int:
    """Bytes of tensors that a forward pass keeps for its backward pass, each storage once."""
    seen: dict[int, int] = {}
    alive: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)  # so that no other tensor gets its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(seen.values())


def influence(model: Automaton, task: Task, steps: int) -> Tensor:
    """How much the middle's first output depends on what is given, or on the first state (h, w)."""
    part = task.held_out()[:1]
    scene = task.scene(part, task.size)
    states = begun(model, task, part, task.size)
    source = states[0] if scene.given is None else scene.given
    source = source.clone().requires_grad_()
    given = None if scene.given is None else source
    first = states if scene.given is not None else (source, *states[1:])
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        fresh = torch.ones(1, dtype=torch.bool)
        found = model.read(model(*first, given=given, steps=steps, fresh=fresh))
    middle = found.shape[-1] // 2
    (gradient,) = torch.autograd.grad(found[0, :, middle, middle].square().sum(), source)
    return gradient[0].abs().sum(0)


def radius(map_: Tensor, share: float = 0.9) -> float:
    """Radius in cells about the middle that holds so much of a map (h, w); 0 of an empty one."""
    side = map_.shape[-1]
    line = torch.arange(side) - side // 2
    far = (line[:, None] ** 2 + line[None] ** 2).float().sqrt().flatten()
    order = far.argsort()
    held = map_.flatten()[order].cumsum(0)
    if not float(held[-1]) > 0:
        return 0.0
    return float(far[order][int((held < share * held[-1]).sum())])


def summary(model: Automaton, task: Task) -> Mapping[str, float]:
    """Parameters, memory of one training rollout, and speed."""
    part = task.held_out()[:1]
    scene = task.scene(part, task.size)
    states = begun(model, task, part, task.size)
    fresh = torch.ones(1, dtype=torch.bool)
    steps = model.recipe.steps_most

    def run() -> Tensor:
        found: Tensor = model(*states, given=scene.given, steps=steps, fresh=fresh)[-1]
        return found

    return {
        "parameters": float(sum(p.numel() for p in model.parameters())),
        "MB kept": kept_bytes(run) / 1e6,
        "steps/s": steps_per_second(model, task),
    }
