"""The number a run is judged by, in what was recorded of it."""

import numpy as np
import pytest

from unstuck.records import Run, Series
from unstuck.trials.metric import printed, recorded


def run(facts=None, roles=None, **columns):
    made = Run.of(facts=facts, **columns)
    return Run(made.series, {}, made.facts, roles or {})


def test_the_end_of_a_training_loss_is_the_mean_of_its_last_twentieth():
    noisy = [5.0] * 95 + [1.0, 2.0, 3.0, 4.0, 10.0]
    assert recorded([run(loss__fit=noisy)], "fit") == {"fit": 4.0}
    assert recorded([run(loss__fit=[9.0, 8.0, 3.0])], "loss/fit") == {"loss/fit": 3.0}
    assert recorded([run(loss__fit=[*noisy[:-1], np.nan])], "fit")["fit"] != 4.0


def test_a_number_that_was_measured_for_its_own_sake_is_its_last_reading():
    values = [float(n) for n in range(100)]
    assert recorded([run(metric__val__psnr=values)], "psnr") == {"psnr": 99.0}
    judged = run(roles={"loss/held": "validation"}, loss__held=values)
    assert recorded([judged], "held") == {"held": 99.0}
    assert recorded([run(loss__held=values)], "held") == {"held": 97.0}


def test_a_loss_that_a_change_adds_to_is_compared_as_the_script_wrote_it():
    changed = run(loss__fit=[1.0], objective__fit=[2.0])
    assert recorded([changed], "fit") == {"fit": 2.0}
    assert recorded([changed], "loss/fit") == {"loss/fit": 2.0}
    assert recorded([run(loss__fit=[1.0])], "loss/fit") == {"loss/fit": 1.0}


def test_names_of_a_log_and_the_last_run_count():
    facts = {"logged/metric/val/loss": "val_loss", "logged/loss/loss": "train_loss"}
    old = run(facts, metric__val__loss=[3.0], loss__loss=[7.0])
    new = run(facts, metric__val__loss=[2.0], loss__loss=[6.0])
    assert recorded([old, new], "val_loss") == {"val_loss": 2.0}
    assert recorded([old, new], "train_loss") == {"train_loss": 6.0}
    assert recorded([old, new], "loss") == {"loss": 2.0}  # a validation loss before a training one
    assert recorded([old, new], "accuracy") == recorded([], "loss") == {}


def test_a_series_without_readings_has_no_end():
    empty = Run({"loss/fit": Series("loss/fit", np.array([]), np.array([]))})
    assert recorded([empty], "fit") == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("val_loss: 0.5\nval_loss=0.25\n", 0.25),
        ('{"epoch": 3, "val_loss": 1e-3}\n', 0.001),
        ("VAL_LOSS = .5 (best)\n", 0.5),
        ("xval_loss: 1 val_loss2: 2 val_loss/x: 3\n", None),
        ("val_loss: " + "9" * 99_000 + "\nval_loss: 1\n", 1.0),
    ],
)
def test_the_last_printed_value_counts(tmp_path, text, value):
    (tmp_path / "stdout").write_text(text)
    expected = {} if value is None else {"val_loss": value}
    assert printed(tmp_path / "stdout", "val_loss") == expected
