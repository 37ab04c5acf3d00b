"""What is read of what real programs print and write.

scripts/log_samples/ecosystem.py takes the captures anew.
"""

from pathlib import Path

import pytest

from unstuck.diagnose import diagnose
from unstuck.load import load_all

HERE = Path(__file__).parent / "ecosystem"
# capture -> unit of its steps, last step, and of each series its count, first, last and role
READ = {
    "catboost_learn_error.tsv": (
        "step",
        59,
        {
            "loss/Logloss": (60, 0.6708323, 0.2902582, "loss"),
        },
    ),
    "dvclive.tsv": (
        "step",
        59,
        {
            "loss/loss": (60, 0.5700248, 0.1619256, "loss"),
        },
    ),
    "fastai.txt": (
        "epoch",
        3,
        {
            "loss/loss": (4, 0.770726, 0.609019, "loss"),
            "metric/val/loss": (4, 0.706506, 0.395292, "validation"),
            "metric/train/error_rate": (4, 0.46, 0.13, "training"),
            "metric/train/accuracy": (4, 0.54, 0.87, "training"),
        },
    ),
    "ignite.txt": (
        "step",
        50,
        {
            "loss/loss": (50, 0.726, 0.483, "loss"),
            "metric/val/Avg_accuracy": (5, 0.84, 0.95, "validation"),
            "metric/val/Avg_loss": (5, 0.58, 0.17, "validation"),
        },
    ),
    "keras_two_outputs.csv": (
        "epoch",
        14,
        {
            "metric/train/kind_accuracy": (15, 0.4, 0.62, "training"),
            "term/loss/kind_loss": (15, 0.8139127, 0.645391, "term"),
            "loss/loss": (15, 6.275867, 2.868722, "loss"),
            "term/loss/size_loss": (15, 5.461954, 2.223332, "term"),
            "metric/train/size_mae": (15, 1.818722, 1.138627, "training"),
            "metric/val/kind_accuracy": (15, 0.43, 0.59, "validation"),
            "metric/val/kind_loss": (15, 0.7842281, 0.6586773, "validation"),
            "metric/val/loss": (15, 6.833531, 3.134343, "validation"),
            "metric/val/size_loss": (15, 6.049303, 2.475666, "validation"),
            "metric/val/size_mae": (15, 1.958931, 1.243711, "validation"),
        },
    ),
    "lightgbm.txt": (
        "step",
        40,
        {
            "loss/binary_logloss": (20, 0.632131, 0.218259, "loss"),
            "metric/train/auc": (20, 0.93525, 0.998238, "training"),
            "metric/val/binary_logloss": (20, 0.64351, 0.303653, "validation"),
            "metric/val/auc": (20, 0.915366, 0.965986, "validation"),
        },
    ),
    "loguru.txt": (
        "step",
        199,
        {
            "loss/loss": (20, 0.57, 0.2019, "loss"),
            "lr/all": (20, 0.5, 0.025, "learning-rate"),
            "metric/val/loss": (4, 0.1969, 0.1454, "validation"),
            "metric/train/acc": (4, 0.9688, 0.9688, "training"),
        },
    ),
    "rich_progress.txt": (
        "step",
        119,
        {
            "loss/loss": (21, 0.57, 0.137, "loss"),
            "metric/train/acc": (21, 0.828, 0.969, "training"),
        },
    ),
    "sb3_dqn.csv": (
        "step",
        2986,
        {
            "metric/train/rollout_ep_rew_mean": (75, 14.75, 9.65, "training"),
            "term/loss/loss": (73, 0.5450602, 0.00554372, "term"),
            "metric/train/n_updates": (73, 7, 696, "training"),
            "lr/all": (73, 0.0001, 0.0001, "learning-rate"),
        },
    ),
    "scikit_learn.txt": (
        "step",
        40,
        {
            "loss/loss": (40, 0.9463029, 0.6647502, "loss"),
        },
    ),
    "skorch.txt": (
        "epoch",
        25,
        {
            "loss/loss": (25, 0.7669, 0.1736, "loss"),
            "metric/val/acc": (25, 0.45, 0.9333, "validation"),
            "metric/val/loss": (25, 0.7084, 0.2052, "validation"),
        },
    ),
    "timm.csv": (
        "epoch",
        29,
        {
            "loss/loss": (30, 0.5700248, 0.2419503, "loss"),
            "metric/val/loss": (30, 0.595372, 0.2951784, "validation"),
            "metric/val/top1": (30, 82.8125, 96.09375, "validation"),
            "metric/val/top5": (30, 100, 100, "validation"),
            "lr/all": (30, 0.5, 0.01666667, "learning-rate"),
        },
    ),
    "tqdm_nested.txt": (
        "step",
        160,
        {
            "metric/train/acc": (20, 0.88, 0.98, "training"),
            "loss/loss": (20, 0.365, 0.124, "loss"),
        },
    ),
    "trl_dpo.json": (
        "step",
        24,
        {
            "epoch": (6, 0.4, 2.4, "epoch"),
            "grad_norm/all": (6, 0.4759302, 0.2722109, "gradient-norm"),
            "lr/all": (6, 0.00875, 0.0004166667, "learning-rate"),
            "loss/loss": (6, 0.6397708, 0.3421015, "loss"),
            "metric/train/mean_token_accuracy": (6, 0.625, 1, "training"),
            "metric/train/rewards_accuracies": (6, 0.75, 1, "training"),
            "metric/train/rewards_margins": (6, 0.111432, 0.8967675, "training"),
            "metric/val/loss": (2, 0.4133388, 0.3373322, "validation"),
            "metric/val/rewards_margins": (2, 0.6697096, 0.913284, "validation"),
        },
    ),
    "xgboost.txt": (
        "step",
        39,
        {
            "metric/val/rmse": (21, 0.47806, 0.25918, "validation"),
            "metric/val/validation_1-rmse": (21, 0.48252, 0.29516, "validation"),
        },
    ),
    "catboost.txt": (
        "step",
        59,
        {
            "metric/train/learn": (13, 0.6708323, 0.2902582, "training"),
            "metric/val/test": (13, 0.6677507, 0.3099712, "validation"),
        },
    ),
    "lightning_rich.txt": (
        "step",
        60,
        {
            "loss/loss": (7, 0.592, 0.099, "loss"),
            "metric/val/loss": (7, 0.583, 0.136, "validation"),
        },
    ),
    "sacred.json": (
        "step",
        58,
        {
            "loss/loss": (30, 0.5700248, 0.2555374, "loss"),
            "metric/val/loss": (6, 0.595372, 0.2282806, "validation"),
        },
    ),
    "sb3_ppo.txt": (
        "step",
        2560,
        {
            "metric/train/rollout_ep_rew_mean": (10, 22.3, 40.3, "training"),
            "lr/all": (8, 0.0003, 0.0003, "learning-rate"),
            "term/loss/loss": (8, 39.3, 46.2, "term"),
        },
    ),
}


def loaded(name):
    (run,) = load_all(HERE / name)
    return run


@pytest.mark.parametrize(
    ("name", "unit", "last", "series"),
    [pytest.param(n, *it, id=n) for n, it in READ.items()],
)
def test_what_programs_print_and_write_is_read_right(name, unit, last, series):
    run = loaded(name)
    assert (run.facts["step/unit"], run.last_step) == (unit, last)
    for wanted, (count, first, end, role) in series.items():
        found = run.series[wanted]
        assert len(found) == count, wanted
        assert (found.value[0], found.value[-1]) == pytest.approx((first, end), rel=1e-6), wanted
        assert run.roles[wanted] == role, wanted


@pytest.mark.parametrize("name", READ)
def test_nothing_else_is_taken_for_a_loss(name):
    found = {n for n in loaded(name).series if n.startswith(("loss/", "lr/", "grad_norm/"))}
    assert found <= set(READ[name][2])


@pytest.mark.parametrize("name", READ)
def test_a_sound_training_raises_no_alarm(name):
    alarms = [f for f in diagnose(loaded(name)).findings if f.severity != "info"]
    assert not alarms


def test_captures_tell_nothing_of_the_machine_they_were_made_on():
    for capture in HERE.iterdir():
        data = capture.read_bytes()
        assert not any(word in data for word in (b"/tmp", b"/home", b"/root", b"/usr"))
        assert len(data) <= 8_000


def test_every_capture_is_tested():
    assert {capture.name for capture in HERE.iterdir()} == set(READ)
