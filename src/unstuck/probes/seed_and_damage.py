"""seed-and-damage: what a small change of the first state costs a rollout, and what heals.

## Why
A rule that works from one exact state only has learnt a path, not a goal: the first noise, one cell
more, one region lost, or a few steps beyond those of training, and it falls apart.

## How it is measured
Rollouts from the subject's `rollout`, in evaluation mode, with the same random numbers for all.
What is built is the error that a rollout removes: of its first state, or of an empty one where that
is better. The first state is then changed a little: noise of 5 % of its size on the cells that are
not zero (an empty cell that is given life would be a further seed); the whole of it moved by one
and by two cells (the result is moved back, or not, whichever is better: a rule may be bound to
places); one of its cells removed, where there are eight at least; one added beside them. `chance`
is other random numbers alone. For damage, squares of a third of the canvas are erased from the
finished state and as many steps as in training follow. Persistence is the error at 2, 4 and 10
times the steps.

## Facts
- `fragility/<model>/built` [1]: share of the error that the rollout removes.
- `fragility/<model>/<change>` [1]: share of that which is left after `noise`, `moved`, `less`,
  `more`, `chance`; `worst` of the first four. Only where something is built.
- `damage/<model>/recovery` [1]: error one rollout after the damage, over the error before it.
- `damage/<model>/cost` [1]: error right after the damage, over the error before it.
- `damage/<model>/healed` [1]: share of the damage that is undone, against a rollout as long
  without it.
- `persistence/<model>/x2`, `x4`, `x10` [1]: error at so many times the steps, over that at their
  end.

## Example
>>> import torch
>>> from torch import nn
>>> from unstuck.lab.subject import Rollout, Subject
>>> rule = nn.Conv2d(1, 1, 1, bias=False)
>>> start = torch.zeros(2, 1, 9, 9)
>>> start[:, :, 4, 4] = 1.0
>>> def towards(x, steps):  # a rule that fills the canvas with ones from wherever it begins
...     for _ in range(steps):
...         x = x + 0.5 * (1 - x)
...     return x
>>> def error(x):
...     return (1 - x).square().mean((1, 2, 3))
>>> rollout = Rollout(start, towards, 6, error)
>>> subject = Subject(rule, start, lambda model, batch: model(batch).mean(), rollout=rollout)
>>> facts = seed_and_damage(subject).facts
>>> [round(facts[name], 2) for name in ("fragility/model/worst", "damage/model/healed")]
[1.0, 1.0]

## References
- Mordvintsev et al., Growing Neural Cellular Automata, 2020, <https://distill.pub/2020/growing-ca>
- Randazzo et al., Adversarial Reprogramming of Neural Cellular Automata, 2021,
  <https://doi.org/10.23915/distill.00027.004>
"""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from unstuck.experiment import Bars, NotProbed, Picture, Result, probe
from unstuck.lab.subject import Rollout, Subject
from unstuck.records import Scalar

SAMPLES = 4
NOISE = 0.05  # of the root mean square of cells that are not zero
SPARSE = 0.25  # share of cells that are not zero: beyond it a state is no seed with a place
MANY = 8  # cells of which one less is a small change
BUILT = 0.1  # share of the error: less is nothing that could be lost
LONGER = (2, 4, 10)  # times the steps of training
SQUARES = ((1, 1), (0, 1), (1, 0))  # thirds of the canvas that are erased: the middle, two sides
LONGEST = 3600.0  # seconds
TINY = 1e-12


@probe("fragility/*/*", "damage/*/*", "persistence/*/*")
def seed_and_damage(subject: Subject, *, seconds: float = float("inf")) -> Result:
    rollout = subject.rollout
    if rollout is None:
        raise NotProbed(
            "there is no rollout to disturb: give Subject(rollout=Rollout(state, advance, steps, "
            "error)) of a rule that is applied again and again"
        )
    began = time.monotonic()
    with subject.evaluating(), torch.no_grad():
        state = _few(rollout)
        end = _rolled(rollout, state)
        once = time.monotonic() - began
        affordable = max(int(min(seconds, LONGEST) / max(once, 1e-6)) - 1, 3)
        base, nothing = _error(rollout, end), _nothing(rollout, state)
        facts, cut = _fragility(subject.name, rollout, state, base, nothing, affordable // 3)
        facts |= _damage(subject.name, rollout, end, base, affordable // 3)
        left = (seconds - (time.monotonic() - began)) / max(once, 1e-6)
        lasting = _persistence(subject.name, rollout, end, base, left)
    cut = cut or len(lasting) < len(LONGER)
    facts |= lasting
    return Result(facts, _said(subject.name, rollout, facts, cut), _pictures(subject.name, facts))


def _few(rollout: Rollout) -> Tensor:
    """Some samples of the first state; all, where the error is only told of all of them."""
    state = rollout.state.detach()
    if state.ndim != 4 or len(state) < 1:
        raise NotProbed(f"the rollout's state {tuple(state.shape)} is not (n, c, h, w)")
    few = state[:SAMPLES]
    try:
        torch.manual_seed(0)
        told = rollout.error(rollout.advance(few.clone(), 1))
    except (RuntimeError, ValueError, IndexError):
        return state
    return few if told.numel() == len(few) else state


def _rolled(rollout: Rollout, state: Tensor, times: int = 1, seed: int = 0) -> Tensor:
    """The state so many training rollouts later, always with the same random numbers."""
    torch.manual_seed(seed)
    return rollout.advance(state.clone(), rollout.steps * times).detach()


def _error(rollout: Rollout, state: Tensor) -> float:
    """The mean error over samples; infinite where it is not finite."""
    found = float(rollout.error(state).double().mean())
    return found if math.isfinite(found) else math.inf


def _nothing(rollout: Rollout, state: Tensor) -> float:
    """The error where nothing has been built: of the first state, or of an empty one."""
    return min(_error(rollout, state), _error(rollout, torch.zeros_like(state)))


def _fragility(
    name: str, rollout: Rollout, state: Tensor, base: float, nothing: float, most: int
) -> tuple[dict[str, Scalar], bool]:
    """What is left of what was built, by change; and whether time was short for some of them."""
    built = 1 - base / nothing if nothing > TINY and math.isfinite(base) else 0.0
    facts: dict[str, Scalar] = {f"fragility/{name}/built": built}
    if not (built > BUILT and math.isfinite(nothing)):
        return facts, False

    def kept(error: float) -> float:
        return max((nothing - error) / (nothing - base), -1.0)

    other = _error(rollout, _rolled(rollout, state, seed=1))
    facts[f"fragility/{name}/chance"] = kept(other)
    found: dict[str, float] = {}
    done = 0
    for what, changed, back in _changes(state):
        if done >= max(most, 2):
            break
        end = _rolled(rollout, changed)
        errors = [_error(rollout, end)]
        if back != (0, 0):
            errors.append(_error(rollout, end.roll((-back[0], -back[1]), (2, 3))))
        found[what] = min(found.get(what, math.inf), kept(min(errors)))
        done += 1
    facts |= {f"fragility/{name}/{what}": share for what, share in found.items()}
    facts[f"fragility/{name}/worst"] = min(found.values())
    return facts, done >= max(most, 2)


def _changes(state: Tensor) -> Iterator[tuple[str, Tensor, tuple[int, int]]]:
    """A name, the changed state, and how far everything was moved."""
    alive = (state != 0).any(1)
    size = state[state != 0].abs().square().mean().sqrt() if alive.any() else torch.ones(())
    drawn = torch.Generator().manual_seed(0)
    for _ in range(2):
        noise = torch.randn(state.shape, generator=drawn).to(state) * alive[:, None]
        yield "noise", state + NOISE * size.to(state) * noise, (0, 0)
    if not 0 < float(alive.float().mean()) <= SPARSE:
        return
    for by in ((0, 1), (1, 0), (2, 2)):
        yield "moved", state.roll(by, (2, 3)), by
    if int(alive.flatten(1).sum(1).min()) >= MANY:
        yield "less", _without_one(state, alive), (0, 0)
    yield "more", _with_one(state, alive), (0, 0)


def _without_one(state: Tensor, alive: Tensor) -> Tensor:
    found = state.clone()
    for sample, there in zip(found, alive, strict=True):
        cells = there.nonzero()
        if len(cells) > 1:
            row, column = cells[len(cells) // 2].tolist()
            sample[:, row, column] = 0
    return found


def _with_one(state: Tensor, alive: Tensor) -> Tensor:
    """A live cell's values also in a neighbour that was empty."""
    found = state.clone()
    for sample, there in zip(found, alive, strict=True):
        height, width = there.shape
        for row, column in there.nonzero().tolist():
            nearby = [((row + 1) % height, column), (row, (column + 1) % width)]
            free = [cell for cell in nearby if not there[cell]]
            if free:
                sample[:, free[0][0], free[0][1]] = sample[:, row, column].clone()
                break
    return found


def _damage(name: str, rollout: Rollout, end: Tensor, base: float, most: int) -> dict[str, Scalar]:
    """A square erased from the finished state, and a rollout after it; the mean of the squares."""
    height, width = end.shape[2:]
    later = _error(rollout, _rolled(rollout, end))
    cost, after = [], []
    for row, column in SQUARES[: max(1, most)]:
        hurt = end.clone()
        top, left = row * height // 3, column * width // 3
        hurt[:, :, top : top + -(-height // 3), left : left + -(-width // 3)] = 0
        cost.append(_error(rollout, hurt))
        after.append(_error(rollout, _rolled(rollout, hurt)))
    mean_cost, mean_after = sum(cost) / len(cost), sum(after) / len(after)
    before = max(base, TINY)
    facts: dict[str, Scalar] = {
        f"damage/{name}/recovery": mean_after / before,
        f"damage/{name}/cost": mean_cost / before,
    }
    if mean_cost > later + TINY:
        facts[f"damage/{name}/healed"] = max(1 - (mean_after - later) / (mean_cost - later), -1.0)
    return {key: value for key, value in facts.items() if math.isfinite(float(value))}


def _persistence(
    name: str, rollout: Rollout, end: Tensor, base: float, left: float
) -> dict[str, Scalar]:
    """The error at multiples of the steps; `left` is how many rollouts there is time for."""
    facts: dict[str, Scalar] = {}
    at = 1
    for times in LONGER:
        if times - 1 > left:
            break
        end, at = _rolled(rollout, end, times - at), times
        ratio = _error(rollout, end) / max(base, TINY)
        facts[f"persistence/{name}/x{times}"] = min(ratio, 1e30)
    return facts


def _said(name: str, rollout: Rollout, facts: dict[str, Scalar], cut: bool) -> tuple[str, ...]:
    built = float(facts[f"fragility/{name}/built"])
    said = [f"A rollout of {rollout.steps} steps removes {100 * built:.0f} % of the error."]
    worst = facts.get(f"fragility/{name}/worst")
    if worst is None:
        said.append("That is too little for a change of the first state to tell anything.")
    else:
        share, what = min(
            (float(v), key.rsplit("/", 1)[1])
            for key, v in facts.items()
            if key.startswith("fragility/") and key.endswith(("noise", "moved", "less", "more"))
        )
        said.append(
            f"Of that, {100 * share:.0f} % is left after the worst small change of the first state "
            f"({what})."
        )
    healed = facts.get(f"damage/{name}/healed")
    if healed is not None:
        said.append(
            f"Erasing a ninth of the canvas costs {float(facts[f'damage/{name}/cost']):.3g} times "
            f"the error; one rollout heals {100 * float(healed):.0f} % of it."
        )
    kept = [k for k in facts if k.startswith("persistence/")]
    if kept:
        long = f"At {kept[-1].rsplit('/x', 1)[1]} times the steps the error is "
        said.append(long + f"{float(facts[kept[-1]]):.3g} times that at their end.")
    if cut:
        said[-1] += " There was no time for all of the changes."
    return tuple(said)


def _pictures(name: str, facts: dict[str, Scalar]) -> tuple[Picture, ...]:
    rows = {
        key.rsplit("/", 1)[1]: {"left": max(float(value), 0.0)}
        for key, value in facts.items()
        if key.startswith(f"fragility/{name}/") and not key.endswith(("built", "worst"))
    }
    title = f"What {name} still builds after a small change of its first state"
    return (Bars(title, rows, "share of what was built", limit=1.0),) if rows else ()
