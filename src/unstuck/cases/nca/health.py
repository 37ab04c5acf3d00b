"""What a finished training tells unstuck of patches, of steps and of what a cell can know."""

from collections.abc import Mapping

import unstuck
from unstuck.cases.nca.automaton import Automaton
from unstuck.cases.nca.probe import subject_of
from unstuck.cases.nca.scenes import Task

NAME = "rule"


def tell(model: Automaton, task: Task, metrics: Mapping[str, float]) -> None:
    """Facts under the names the probes use; nothing happens unwatched.

    keyhole: errors on patches and on the whole canvas over that of the best constant, where
    training sees patches, and the share of the canvas that news can cross. persistence: errors at
    multiples of the trained steps over the one at their end.
    """
    r = model.recipe
    scene = task.scene(task.held_out(), task.size)
    mean = (scene.target * scene.mask).sum((0, 2, 3)) / scene.mask.sum()
    even = float(scene.error(mean[:, None, None].expand_as(scene.target)).mean())
    facts: dict[str, float | bool] = {
        f"persistence/{NAME}/x{times}": metrics[f"error_x{times}"] / max(metrics["error"], 1e-12)
        for times in (2, 4, 10)
    }
    facts[f"meant/{NAME}/lasting"] = r.lasting
    facts[f"persistence/{NAME}/built"] = 1 - metrics["error"] / even
    if r.patch and r.patch < r.size:
        facts[f"keyhole/{NAME}/patch"] = metrics["train_error"] / even
        facts[f"keyhole/{NAME}/full"] = metrics["error"] / even
        facts[f"keyhole/{NAME}/seen"] = min(1.0, (2 * reach(model) + 1) / r.size)
    unstuck.note(facts)
    if r.probed:
        s = subject_of(model, task, seed=0)
        only = ["position"] if s.rollout is None else ["seed-and-damage"]
        unstuck.probe(
            *(s.model, s.batch, s.loss, s.optimizer),
            only=only,
            batches=s.batches,
            rollout=s.rollout,
            name=s.name,
        )


def reach(model: Automaton) -> int:
    """How far news can have travelled after the longest training rollout, px of the picture."""
    r = model.recipe
    if r.global_grid:
        return r.size
    far: float = 0
    for level in range(r.levels):
        px = r.decoder * 2 ** (r.levels - 1 - level)
        far += px * model.steps_of(level, r.steps_most) * 2 ** (r.scales - 1)
    return int(far)
