"""Stages of a run: one network trained after the other."""

import numpy as np

from unstuck import Run, Series, diagnose
from unstuck.signals.stages import by_stage, stage_starts


def run(*optimizers, **series):
    """Optimizers as (name, first, last, layers), read every second step."""
    made = {name: Series(name, np.arange(len(v)), np.array(v, float)) for name, v in series.items()}
    for name, first, last, layers in optimizers:
        steps = np.arange(first, last + 1, 2)
        for tail in ("", *(f"/{layer}" for layer in layers)):
            full = f"update_ratio/{name}{tail}"
            made[full] = Series(full, steps, np.full(len(steps), 0.01))
    return Run(made)


def test_a_second_network_begins_a_stage():
    one_after_the_other = run(("adam", 0, 98, ["net.a"]), ("adam.2", 100, 198, ["flow.a"]))
    assert stage_starts(one_after_the_other) == [100]


def test_turns_and_a_new_optimizer_for_the_same_network_are_one_stage():
    assert stage_starts(run(("d", 0, 198, ["D.a"]), ("g", 100, 198, ["G.a"]))) == []
    assert stage_starts(run(("adam", 0, 98, ["net.a"]), ("adam.2", 100, 198, ["net.a"]))) == []
    assert stage_starts(run(("adam", 0, 98, []), ("adam.2", 100, 198, []))) == []
    assert stage_starts(Run({})) == []


def test_a_loss_is_cut_at_its_stages():
    two = run(("adam", 0, 98, ["net.a"]), ("adam.2", 100, 198, ["flow.a"]))
    loss = Series("loss/loss", np.arange(200), np.arange(200.0))
    assert [(s.step[0], s.step[-1]) for s in by_stage(two, loss)] == [(0, 99), (100, 199)]
    later = Series("loss/loss", np.arange(150, 200), np.arange(50.0))
    assert len(by_stage(two, later)) == 1
    assert by_stage(Run({}), loss) == [loss]


def test_the_higher_loss_of_a_second_stage_is_no_divergence():
    falls = list(0.1 + 0.1 * np.exp(-np.arange(100) / 20))
    second = list(0.8 + 0.4 * np.exp(-np.arange(100) / 20))
    loss = {"loss/loss": falls + second}
    stages = (("adam", 0, 98, ["net.a"]), ("adam.2", 100, 198, ["flow.a"]))
    assert not diagnose(run(*stages, **loss)).at_least("warning")
    one = diagnose(run(("adam", 0, 198, ["net.a"]), **loss)).at_least("warning")
    assert [f.code for f in one] == ["OPT003"]


def test_a_second_stage_that_diverges_is_found():
    falls = list(0.1 + 0.1 * np.exp(-np.arange(100) / 20))
    rises = list(0.5 + 0.02 * np.arange(100))
    stages = (("adam", 0, 98, ["net.a"]), ("adam.2", 100, 198, ["flow.a"]))
    found = diagnose(run(*stages, **{"loss/loss": falls + rises})).at_least("warning")
    assert [f.code for f in found] == ["OPT003"] and "began at 0.5" in found[0].message
