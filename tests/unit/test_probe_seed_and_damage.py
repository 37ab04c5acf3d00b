"""The probe seed-and-damage: against rules whose answers are known."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unstuck.examine import examined, performed
from unstuck.experiment import NotProbed
from unstuck.lab.subject import Rollout, Subject
from unstuck.probes.seed_and_damage import seed_and_damage

SIDE, STEPS = 12, 6
Rule = Callable[[Tensor], Tensor]
TARGET = torch.ones(SIDE, SIDE)


def seed(value: float = 1.0) -> Tensor:
    x = torch.zeros(3, 1, SIDE, SIDE)
    x[:, :, 5:8, 5:8] = value
    return x


def error(x: Tensor) -> Tensor:
    return (x[:, 0] - TARGET).square().mean((1, 2))


def subject(rule: Rule, state: Tensor | None = None, steps: int = STEPS) -> Subject:
    state = seed() if state is None else state

    def advance(x: Tensor, count: int) -> Tensor:
        for _ in range(count):
            x = rule(x)
        return x

    rollout = Rollout(state, advance, steps, error)
    model = nn.Conv2d(1, 1, 1)
    return Subject(model, state, lambda model, batch: model(batch).mean(), rollout=rollout)


def told(of: Subject, seconds: float = float("inf")) -> dict[str, float]:
    facts = performed(seed_and_damage, of, seconds).facts
    return {k.split("/")[0] + "/" + k.split("/")[2]: float(v) for k, v in facts.items()}


def filling(x: Tensor) -> Tensor:
    """Every cell goes half of the way to one, from wherever it is."""
    return x + 0.5 * (1 - x)


def spreading(x: Tensor) -> Tensor:
    """Cells beside a live one come alive; what is erased grows back while anything is left."""
    return (F.max_pool2d(x, 3, 1, 1) > 0.5).float()


def exact(x: Tensor) -> Tensor:
    """Fills the canvas, but only from cells that are exactly one or nothing."""
    whole = ((x == 0) | (x == 1)).flatten(1).all(1)[:, None, None, None]
    return torch.where(whole, spreading(x), torch.zeros_like(x))


def test_what_is_built_is_the_share_of_the_error_removed():
    found = told(subject(filling))
    empty = (0.5**STEPS) ** 2  # what is left of an error of one
    assert found["fragility/built"] == pytest.approx(1 - empty, abs=1e-4)


def test_a_rule_with_a_goal_loses_nothing():
    found = told(subject(filling))
    assert min(v for k, v in found.items() if k.startswith("fragility/")) > 0.99
    assert found["damage/healed"] > 0.99 and found["persistence/x10"] < 1


def test_a_rule_that_needs_its_exact_state_is_fragile():
    found = told(subject(exact))
    assert found["fragility/built"] == found["fragility/chance"] == 1
    assert found["fragility/worst"] == found["fragility/noise"] < 0.1
    assert (
        found["fragility/moved"] > 0.8 and found["fragility/less"] == found["fragility/more"] == 1
    )


def test_recovery_is_the_error_after_over_the_error_before():
    """The twin: a square erased, a rollout, by hand."""

    def slow(x: Tensor) -> Tensor:
        return x + 0.1 * (1 - x)

    found = told(subject(slow))
    end = seed()
    for _ in range(STEPS):
        end = slow(end)
    after = []
    for row, column in ((4, 4), (0, 4), (4, 0)):
        hurt = end.clone()
        for i in range(4):
            for j in range(4):
                hurt[:, :, row + i, column + j] = 0
        for _ in range(STEPS):
            hurt = slow(hurt)
        after.append(float(error(hurt).mean()))
    assert found["damage/recovery"] == pytest.approx(
        sum(after) / 3 / float(error(end).mean()), rel=1e-4
    )


def test_persistence_is_the_error_at_multiples_of_the_steps():
    def growing(x: Tensor) -> Tensor:
        return 1 + 1.1 * (x - 1)

    start = 1 + 0.1 * seed()  # above the target: the error grows by 1.21 a step
    found = told(subject(growing, start))
    for times in (2, 4, 10):
        wanted = 1.1 ** (2 * STEPS * (times - 1))
        assert found[f"persistence/x{times}"] == pytest.approx(wanted, rel=1e-3)


def test_a_picture_that_moves_with_its_seed_is_whole():
    """The disc is built around the seed; moved back, it is where it was."""
    global TARGET
    kept, TARGET = TARGET, torch.zeros(SIDE, SIDE)
    TARGET[3:10, 3:10] = 1.0
    try:
        assert told(subject(spreading, steps=2))["fragility/moved"] == 1
    finally:
        TARGET = kept


def test_states_without_empty_cells_are_only_given_noise():
    found = told(subject(filling, torch.full((2, 1, SIDE, SIDE), 0.2)))
    assert "fragility/noise" in found and "fragility/moved" not in found


def test_a_rule_that_builds_nothing_has_nothing_to_lose():
    found = told(subject(lambda x: x))
    assert found["fragility/built"] == 0 and "fragility/worst" not in found


def test_results_that_are_not_finite_count_as_nothing_left():
    def fragile(x: Tensor) -> Tensor:
        odd = ((x != 0) & (x != 1)).flatten(1).any(1)[:, None, None, None]
        return torch.where(odd, torch.full_like(x, float("nan")), spreading(x))

    assert told(subject(fragile))["fragility/noise"] == -1


def test_the_same_random_numbers_are_drawn_for_every_change():
    """A rule that fires at random: without changes of its state only chance differs."""

    def firing(x: Tensor) -> Tensor:
        return torch.where(torch.rand_like(x) < 0.5, spreading(x), x)

    first, second = told(subject(firing)), told(subject(firing))
    assert first == second and first["fragility/less"] > 0.9


def test_little_time_leaves_out_the_dearest():
    found = performed(seed_and_damage, subject(filling), 1e-6)
    assert "persistence/model/x10" not in found.facts
    assert "no time" in " ".join(found.said)


def test_fragility_is_diagnosed_where_it_is_and_not_elsewhere():
    def codes(rule: Rule) -> list[str]:
        causes = examined(subject(rule), [seed_and_damage]).diagnosis.causes
        return [c.finding.code for c in causes]

    assert codes(exact) == ["CTX005"]
    assert codes(filling) == codes(spreading) == codes(lambda x: x) == []


def test_without_a_rollout_the_reason_is_said():
    x = torch.randn(2, 1, 8, 8)
    with pytest.raises(NotProbed, match="no rollout"):
        performed(seed_and_damage, Subject(nn.Conv2d(1, 1, 1), (x, x), F.mse_loss))
    with pytest.raises(NotProbed, match="not \\(n, c, h, w\\)"):
        performed(seed_and_damage, subject(filling, torch.randn(2, 5)))
