"""What a step is, and what a log without layers tells of stages, games and reinforcement."""

import numpy as np

from unstuck import Run, Series, diagnose
from unstuck.signals.games import adversaries, is_reinforcement, lone_losses, value_losses
from unstuck.signals.stages import by_stage, stage_starts
from unstuck.signals.units import counts_epochs, first_level, lasting

EPOCHS = {"step/unit": "epoch"}


def run(facts=None, **series):
    """Series as (first step, values) columns."""
    made = {
        name.replace("__", "/"): Series(
            name.replace("__", "/"), np.arange(first, first + len(values)), np.array(values, float)
        )
        for name, (first, values) in series.items()
    }
    return Run(made, facts=facts or {})


def two_rates(second=1.2):
    fall = list(0.1 + 0.1 * np.exp(-np.arange(100) / 20))
    rest = list(second + 0.4 * np.exp(-np.arange(100) / 20))
    return run(
        lr__optimizer=(0, [1e-3] * 100), **{"lr__optimizer.2": (100, [1e-3] * 100)},
        loss__loss=(0, fall + rest),
    )  # fmt: skip


def test_durations_are_counted_in_the_steps_of_the_run():
    assert lasting(Run({}), steps=200, epochs=20) == 200
    assert lasting(Run({}, facts=EPOCHS), steps=200, epochs=20) == 20
    assert not counts_epochs(Run({}, facts={"step/unit": "row"}))


def test_a_log_of_epochs_starts_with_its_first_line():
    loss = Series("loss/train", np.arange(6), np.array([np.nan, 5.0, 2.0, 1.0, 1.0, 1.0]))
    assert first_level(Run({}, facts=EPOCHS), loss) == 5.0
    assert first_level(Run({}), loss) == 1.0
    assert np.isnan(first_level(Run({}, facts=EPOCHS), Series("loss/x", [], [])))


def test_the_higher_loss_of_a_second_rate_is_a_stage_of_its_own():
    log = two_rates()
    assert stage_starts(log) == [100]
    assert len(by_stage(log, log.series["loss/loss"])) == 2
    assert not diagnose(log).at_least("warning")


def test_a_second_rate_that_goes_on_from_the_same_level_is_no_stage():
    log = two_rates(second=-0.29)
    assert len(by_stage(log, log.series["loss/loss"])) == 1


def test_rates_that_are_logged_at_first_only_say_nothing_of_stages():
    log = run(loss__loss=(0, [1.0] * 400), lr__a=(0, [1e-3] * 5), lr__b=(10, [1e-3] * 5))
    assert stage_starts(log) == []
    assert stage_starts(run(loss__loss=(0, [1.0] * 9), lr__a=(0, [1]), lr__b=(4, [1] * 5))) == []


def test_rates_that_go_side_by_side_are_one_stage():
    assert stage_starts(run(lr__d=(0, [1e-3] * 200), lr__g=(3, [1e-3] * 197))) == []


def test_values_beside_returns_are_reinforcement_and_others_are_not():
    agent = run(loss__td_loss=(0, [1.0]), metric__train__mean_return=(0, [9.0]))
    assert is_reinforcement(agent) and not lone_losses(agent)
    assert [s.name for s in value_losses(agent)] == ["loss/td_loss"]
    assert not is_reinforcement(run(loss__td_loss=(0, [1.0])))
    assert not is_reinforcement(run(loss__loss=(0, [1.0]), metric__val__score=(0, [9.0])))
    assert value_losses(run(loss__value_loss=(0, [1.0]))) == []


def test_adversarial_terms_play_against_a_discriminator_else_the_whole_loss():
    whole = run(loss__d_loss=(0, [1.0]), loss__g_loss=(0, [2.0]))
    assert [s.name for s in adversaries(whole)] == ["loss/g_loss"]
    parts = run(
        loss__d_loss=(0, [1.0]), loss__g_loss=(0, [2.0]),
        term__g_loss__adv=(0, [0.7]), term__g_loss__l1=(0, [1.3]),
    )  # fmt: skip
    assert [s.name for s in adversaries(parts)] == ["term/g_loss/adv"]
