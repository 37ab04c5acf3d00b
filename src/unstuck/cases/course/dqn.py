"""Deep Q-learning on the cart-pole: replayed transitions and a target network that lags behind.

    target = r + gamma max_a' Q_target(s', a'),   loss = huber(Q(s, a) - target),   a* = argmax Q

A falling pole ends an episode with nothing to come; a full episode of 500 steps is only cut off.
Replay breaks the correlation of steps that follow each other, the lagging copy keeps the target
from chasing its own tail. Mnih et al., "Human-level control through deep reinforcement learning"
(2015). The physics is gymnasium's CartPole-v1: +1 for each step upright.

Covers: 17.02 17.03 17.04 17.11 17.12 17.15 17.26 L01 L02 L07
Run: unstuck case run course/dqn
Expected: mean_return 331 +- 160 steps over 5 seeds (trivial answer 23.4) in 5 s on one core each:
    python -m unstuck.cases.course dqn --seeds 5
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import unstuck
from unstuck.cases.course import item, loop, pictures
from unstuck.cases.course.data import cartpole
from unstuck.cases.course.item import Fault

METRIC, HIGHER_IS_BETTER, UNIT = "mean_return", True, "steps"
MARGIN = 100.0  # steps upright more than by pushing at random
TINY = {"steps": 5, "warm_up": 4, "judged": 3, "horizon": 20}
REPORTS = 10


class Recipe(loop.Recipe):
    steps: int = Field(2500, ge=1)
    """updates, one for every step of each of the carts"""
    carts: int = Field(8, ge=1)
    """episodes that are played side by side"""
    lr: float = Field(1e-3, gt=0)
    """learning rate of Adam, falling to 0 in a line"""
    batch: int = Field(128, ge=1)
    """transitions an update, drawn from all that were seen"""
    gamma: float = Field(0.98, ge=0, le=1)
    """discount: what lies 50 steps ahead counts a third"""
    follow: float = Field(0.01, gt=0, le=1)
    """share by which the target network follows each update; 1: it is no other network"""
    explore: float = Field(0.1, ge=0, le=1)
    """share of random pushes after a first tenth of the run, in which it falls from 1"""
    warm_up: int = Field(100, ge=1)
    """random steps before the first update"""
    judged: int = Field(50, ge=1)
    """greedy episodes that are counted"""
    horizon: int = Field(500, ge=1)
    """longest episode judged"""


class QNetwork(nn.Module):
    """States (n, 4) -> the value of each of the two pushes (n, 2)."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
        )

    def forward(self, state: Tensor) -> Tensor:
        return self.layers(state / state.new_tensor(cartpole.SCALE))


def targets(reward: Tensor, fell: Tensor, next_values: Tensor, gamma: float) -> Tensor:
    """r + gamma max Q(s', .), and r alone where the pole fell."""
    return reward + gamma * (~fell) * next_values.max(1).values


FAULTS = {
    "no-target-network": Fault(
        {"follow": 1.0},
        "every update raises its own target: values and loss grow without end, the policy is one"
        " push for ever",
        ("OPT003",),
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    network, target = QNetwork(), QNetwork()
    target.load_state_dict(network.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), r.lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, r.steps)

    def greedy(state: cartpole.Array) -> cartpole.Actions:
        with torch.no_grad():
            return network(torch.from_numpy(state).float()).argmax(1).numpy()

    state, age = cartpole.start(r.carts, random), np.zeros(r.carts)
    seen: list[tuple[np.ndarray, ...]] = []
    returns: list[float] = []
    metrics: dict[str, float] = {}
    for step in range(1 - r.warm_up, r.steps + 1):
        epsilon = max(r.explore, 1 - (1 - r.explore) * max(step, 0) / (r.steps / 10))
        action = np.where(
            random.random(r.carts) < epsilon, random.integers(0, 2, r.carts), greedy(state)
        )
        after, fell = cartpole.moved(state, action)
        seen.append((state, action, after, fell))
        age += 1
        over = fell | (age >= r.horizon)
        state = np.where(over[:, None], cartpole.start(r.carts, random), after)
        age[over] = 0
        if step < 1:
            continue

        when, cart = random.integers(0, len(seen), r.batch), random.integers(0, r.carts, r.batch)
        columns = (
            np.array([seen[i][k][j] for i, j in zip(when, cart, strict=True)]) for k in range(4)
        )
        s, a, s_after, ended = (torch.from_numpy(c) for c in columns)
        with torch.no_grad():
            aim = targets(torch.ones(r.batch), ended, target(s_after.float()), r.gamma)
        value = network(s.float()).gather(1, a[:, None])[:, 0]
        td_loss = F.smooth_l1_loss(value, aim)
        optimizer.zero_grad()
        td_loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for mine, own in zip(target.parameters(), network.parameters(), strict=True):
                mine.lerp_(own, r.follow)

        if step % max(1, r.steps // REPORTS) == 0 or step == r.steps:
            counted = cartpole.returns(greedy, r.judged, r.horizon, seed)
            returns.append(float(counted.mean()))
            metrics = {"mean_return": returns[-1], "value": float(value.detach().mean())}
            unstuck.log(**metrics)
            print(
                f"step {step:5d}  loss {float(td_loss.detach()):.4f}  return {returns[-1]:.0f}",
                flush=True,
            )

    if out is not None:
        steps = np.linspace(r.steps / len(returns), r.steps, len(returns))
        pictures.curves(out / "picture.png", {"greedy": (steps, returns)}, x="update", y="return")
        pictures.clip(out / "clip.gif", cartpole.frames(greedy, min(r.horizon, 120), seed)[::2])
    blind = cartpole.returns(lambda s: random.integers(0, 2, len(s)), r.judged, r.horizon, seed)
    return metrics | {"baseline": float(blind.mean())}
