"""REINFORCE on the cart-pole: make the pushes likelier that went better than was foreseen.

    grad J = E sum_t grad log pi(a_t | s_t) (G_t - b(s_t))
    G_t = (1 - gamma) sum_k gamma^k r_{t+k}

The baseline b, a network that foresees G, changes nothing in the mean and takes most of the spread
away. Every update plays whole episodes with the policy as it is and then throws them away.
Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement
learning" (1992).

Covers: 17.02 17.03 17.04 17.11 17.15 L01 L02
Run: unstuck case run course/policy_gradient
Expected: mean_return 200 +- 0 steps over 5 seeds (trivial answer 23.6) in 2 s on one core each:
    python -m unstuck.cases.course policy_gradient --seeds 5
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
TINY = {"steps": 3, "carts": 4, "horizon": 20, "judged": 3}
REPORTS = 10


class Recipe(loop.Recipe):
    steps: int = Field(60, ge=1)
    """updates, each from episodes of its own"""
    carts: int = Field(16, ge=2)
    """episodes an update, played side by side"""
    horizon: int = Field(200, ge=1)
    """longest episode"""
    lr: float = Field(1e-2, gt=0)
    """learning rate of Adam"""
    gamma: float = Field(0.98, ge=0, lt=1)
    """discount"""
    to_come: bool = True
    """credit a push with the rewards after it; otherwise, looking the wrong way, before it"""
    judged: int = Field(50, ge=1)
    """greedy episodes that are counted"""


class ActorCritic(nn.Module):
    """States (n, 4) -> scores of the two pushes (n, 2) and the return that is foreseen (n,)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.policy = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))
        self.baseline = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        state = state / state.new_tensor(cartpole.SCALE)
        return self.policy(state), self.baseline(state)[:, 0]


def discounted(rewards: cartpole.Array, gamma: float) -> cartpole.Array:
    """G_t for rewards (time, episodes), from the last step backwards; at most 1."""
    to_come = np.zeros_like(rewards)
    later = np.zeros(rewards.shape[1])
    for t in reversed(range(len(rewards))):
        later = rewards[t] + gamma * later
        to_come[t] = later
    return to_come * (1 - gamma)


def played(
    model: ActorCritic, carts: int, horizon: int, random: np.random.Generator
) -> tuple[cartpole.Array, cartpole.Actions, cartpole.Array]:
    """States (time, carts, 4), pushes (time, carts) and rewards: 1 while upright, then 0."""
    state, upright = cartpole.start(carts, random), np.ones(carts, bool)
    states: list[cartpole.Array] = []
    actions: list[cartpole.Actions] = []
    rewards: list[cartpole.Array] = []
    while upright.any() and len(states) < horizon:
        with torch.no_grad():
            right = model(torch.from_numpy(state).float())[0].softmax(1)[:, 1].numpy()
        action = (random.random(carts) < right).astype(np.int64)
        states.append(state)
        actions.append(action)
        rewards.append(upright.astype(float))
        after, fell = cartpole.moved(state, action)
        state = np.where(upright[:, None], after, state)
        upright &= ~fell
    return np.array(states), np.array(actions), np.array(rewards)


FAULTS = {
    "credit-to-the-past": Fault(
        {"to_come": False},
        "pushes are praised for what came before them: late, failing pushes most of all; the policy"
        " grows certain and falls at once",
    ),
}


def train(
    recipe: Recipe | Mapping[str, item.Scalar], seed: int, out: Path | None = None
) -> dict[str, float]:
    r = item.made(Recipe, recipe)
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model = ActorCritic()
    optimizer = torch.optim.Adam(model.parameters(), r.lr)

    def greedy(state: cartpole.Array) -> cartpole.Actions:
        with torch.no_grad():
            return model(torch.from_numpy(state).float())[0].argmax(1).numpy()

    first = cartpole.returns(greedy, r.judged, r.horizon, seed).mean()
    steps, returns, metrics = [0], [float(first)], {}
    for step in range(1, r.steps + 1):
        states, actions, rewards = played(model, r.carts, r.horizon, random)
        counted = torch.from_numpy(rewards > 0)
        way = 1 if r.to_come else -1
        credit = discounted(rewards[::way], r.gamma)[::way].copy()
        to_come = torch.from_numpy(credit).float()[counted]
        s, a = torch.from_numpy(states).float()[counted], torch.from_numpy(actions)[counted]
        scores, foreseen = model(s)
        advantage = to_come - foreseen.detach()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
        policy_loss = (F.cross_entropy(scores, a, reduction="none") * advantage).mean()
        value_loss = F.mse_loss(foreseen, to_come)
        loss = policy_loss + value_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        if step % max(1, r.steps // REPORTS) == 0 or step == r.steps:
            steps.append(step)
            returns.append(float(cartpole.returns(greedy, r.judged, r.horizon, seed).mean()))
            certain = float(scores.detach().softmax(1).max(1).values.mean())
            metrics = {"mean_return": returns[-1], "certainty": certain}
            unstuck.log(**metrics)
            print(
                f"step {step:4d}  policy {float(policy_loss.detach()):.4f}  "
                f"value {float(value_loss.detach()):.3f}  return {returns[-1]:.0f}",
                flush=True,
            )

    if out is not None:
        pictures.curves(out / "picture.png", {"greedy": (steps, returns)}, x="update", y="return")
        pictures.clip(out / "clip.gif", cartpole.frames(greedy, min(r.horizon, 120), seed)[::2])
    blind = cartpole.returns(lambda s: random.integers(0, 2, len(s)), r.judged, r.horizon, seed)
    return metrics | {"baseline": float(blind.mean())}
