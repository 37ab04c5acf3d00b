"""What trainings print, in many programs' words, encodings and states of damage."""

import time
from pathlib import Path

import numpy as np
import pytest
from log_samples.regression import training

from unstuck.load import load, load_all
from unstuck.reading.fields import shape_of, split_line
from unstuck.source import UnreadableRunError
from unstuck.sources.text_log import text_log

LOGS = Path(__file__).resolve().parents[1] / "logs" / "text-log"


def sample(name):
    return load(LOGS / f"{name}.log")


def written(tmp_path, text, name="train.log", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def read(line):
    """The counters and fields of a line, as text."""
    template, numbers = split_line(line)
    shape = shape_of(template)
    counters = [
        (c.kind, numbers[c.number], *([numbers[c.total]] if c.total else []))
        for c in shape.counters
    ]
    return counters, {f.name: numbers[f.number] for f in shape.fields}, shape.split


@pytest.mark.parametrize(
    ("line", "counters", "fields", "split"),
    [
        ("iter 100: loss 2.3, time 35.2ms, mfu 1.2%", [("step", "100")],
         {"loss": "2.3", "time": "35.2", "mfu": "1.2"}, ""),
        (" 37%|##7  | 370/1000 [00:10<00:17, 36.5it/s, loss=0.52, lr=1e-3]",
         [("part", "370", "1000")], {"loss": "0.52", "lr": "1e-3"}, ""),
        ("12/100 ━━━━━━━━ 5s 10ms/step - accuracy: 0.5 - loss: 1.2", [("part", "12", "100")],
         {"accuracy": "0.5", "loss": "1.2"}, ""),
        ("{'loss': nan, 'learning_rate': 1e-05, 'epoch': 1.2}", [("epoch", "1.2")],
         {"loss": "nan", "learning_rate": "1e-05"}, ""),
        ("2024-01-02 12:00:00,123 INFO train.py:12 - step=1,200 loss=-inf", [("step", "1,200")],
         {"loss": "-inf"}, ""),
        ("2024-01-02T12:00:00.123Z [INFO] epoch-3 loss: tensor(0.5, device='cuda:0')",
         [("epoch", "3")], {"loss": "0.5", "cuda": "0"}, ""),
        ("Test set: Average loss: 0.05, Accuracy: 9900/10000 (99%)", [],
         {"test Average loss": "0.05", "test Accuracy": "9900"}, "test"),
        ("Epoch(val) [1][50/3757]  eta: 1:02:03  loss: 1.2", [("epoch", "1"),
         ("part", "50", "3757")], {"val loss": "1.2"}, "val"),
        ("Train: 0 [  50/1251 (  4%)]  Loss: 6.9 (7.1)  Time: 0.4s, 100/s", [("epoch", "0"),
         ("part", "50", "1251")], {"Loss": "6.9", "Time": "0.4"}, ""),
        ("[10]\ttrain-logloss:0.5\teval-logloss:0.6", [("step", "10")],
         {"train-logloss": "0.5", "eval-logloss": "0.6"}, ""),
        ("Epoch 3 finished with loss 0.5±0.1 in 35.2s", [("epoch", "3")], {"loss": "0.5"}, ""),
        ("Train | loss 1 | acc 2 | Val | loss 3", [], {"loss": "1", "acc": "2", "val loss": "3"},
         ""),
    ],
)  # fmt: skip
def test_the_numbers_of_a_line(line, counters, fields, split):
    assert read(line) == (counters, fields, split)


def test_nanogpt():
    run, wanted = sample("nanogpt"), list(training(300))
    loss = run.series["loss/loss"]
    assert loss.step.tolist() == list(range(0, 300, 10))
    assert np.allclose(loss.value, [r.loss for r in wanted[::10]], atol=6e-5)
    assert run.series["metric/val/loss"].step.tolist() == [0, 100, 200]
    assert run.facts["step/unit"] == "step"


def test_validation_belongs_to_the_training_line_before_it():
    run, wanted = sample("mnist"), list(training(90))
    assert run.series["loss/Loss"].step.tolist()[:8] == [0, 80, 160, 240, 320, 400, 480, 560]
    val = run.series["metric/val/Average_loss"]
    assert val.step.tolist() == [400, 880, 1360]
    assert np.allclose(val.value, [r.val_loss for r in wanted[29::30]], atol=6e-5)
    accuracy = run.series["metric/val/Accuracy"].value
    assert np.allclose(accuracy, [r.accuracy for r in wanted[29::30]])


def test_training_gives_the_value_and_validation_the_mean_behind_it():
    run, wanted = sample("imagenet"), list(training(180))
    assert np.allclose(run.series["loss/Loss"].value, [r.loss for r in wanted[::10]], rtol=1e-4)
    last = [r for r in wanted if r.step % 60 == 59]
    assert np.allclose(run.series["metric/val/Loss"].value, [r.val_loss for r in last], rtol=1e-4)
    top = run.series["metric/val/Acc@1"]
    assert np.allclose(top.value, [100 * r.accuracy for r in last], atol=1e-3)
    assert top.step.tolist() == [50, 110, 170]


@pytest.mark.parametrize(
    ("name", "generator", "discriminator", "steps"),
    [
        ("dcgan", "loss/Loss_G", "loss/Loss_D", range(0, 100, 5)),
        ("pytorch-gan", "loss/G_loss", "loss/D_loss", range(100)),
        ("font-gan", "loss/g_loss", "loss/d_loss", range(0, 120, 4)),
    ],
)
def test_games(name, generator, discriminator, steps):
    run = sample(name)
    assert run.roles[generator] == "generator" and run.roles[discriminator] == "discriminator"
    wanted = [r.loss for r in training(120 if name == "font-gan" else 100) if r.step in steps]
    assert np.allclose(run.series[discriminator].value, wanted, atol=6e-5)
    assert run.series[generator].step.tolist() == list(steps)


def test_a_game_named_without_the_word_loss_in_utf_16():
    run = sample("pix2pix")
    assert run.roles["loss/G_GAN"] == "generator" and run.roles["loss/D_fake"] == "discriminator"
    assert len(run.series["loss/G_L1"]) == 20


def test_progress_bars_of_several_epochs():
    run, wanted = sample("bars"), list(training(120))
    loss = run.series["loss/loss"]
    assert (loss.step[0], loss.step[-1]) == (0, 120)
    assert np.isin(np.round(loss.value, 3), np.round([r.loss for r in wanted], 3)).all()
    val = run.series["metric/val/loss"]
    assert val.step.tolist() == [40, 80, 120]
    assert np.allclose(val.value, [wanted[i].val_loss for i in (39, 79, 119)], atol=6e-5)


def test_a_bar_that_still_shows_the_last_validation_is_no_new_reading():
    run = sample("lightning")
    assert run.series["metric/val/loss"].step.tolist() == [32, 64, 96]
    assert run.last_step == 96


def test_bars_that_take_turns_are_training_and_validation(tmp_path):
    text = ""
    for epoch in range(4):
        for total, loss in ((50, 2 - epoch / 4), (20, 3 - epoch / 4)):
            for i in range(0, total + 1, 10):
                text += f"\r{100 * i // total}%|{'#' * i}| {i}/{total} [00:01<00:01, loss={loss}]"
    run = load(written(tmp_path, text + "\n"))
    assert np.unique(run.series["loss/loss"].value).tolist() == [1.25, 1.5, 1.75, 2.0]
    assert run.series["metric/val/loss"].value.tolist() == [3.0, 2.75, 2.5, 2.25]
    assert run.series["metric/val/loss"].step.tolist() == [50, 100, 150, 200]


def test_a_bar_of_keras_that_was_resumed_three_epochs_back():
    run = sample("keras")
    assert len(run.series["metric/val/loss"]) == 16 and run.last_step == 256
    assert run.roles["lr/all"] == "learning-rate"


def test_dictionaries_of_the_trainer():
    run = sample("transformers")
    state = load(LOGS.parent / "trainer-state" / "output")
    loss = run.series["loss/loss"].value
    assert np.allclose(loss, state.series["loss/loss"].value, rtol=1e-3)
    val = run.series["metric/val/loss"].value
    assert np.allclose(val, state.series["metric/val/loss"].value, rtol=1e-3)


def test_tables_of_fastai_and_rounds_of_xgboost():
    run = sample("fastai")
    assert run.facts["step/unit"] == "epoch" and len(run.series["metric/val/loss"]) == 8
    assert run.series["loss/loss"].value[0] == pytest.approx(list(training(80))[9].loss, abs=1e-6)
    rounds = sample("xgboost")
    assert rounds.series["loss/logloss"].step.tolist() == list(range(40))


def test_nan_is_a_reading():
    loss = sample("plain").series["loss/loss"]
    assert np.flatnonzero(np.isnan(loss.value)).tolist() == [50] and len(loss) == 60


def test_a_second_start_is_a_run_of_its_own_and_a_resumed_one_is_not():
    runs = load_all(LOGS / "logged-twice.log")
    assert [r.name for r in runs] == ["logged-twice 1", "logged-twice 2"]
    assert [r.series["loss/loss"].step[-1] for r in runs] == [78, 118]
    wanted = [r.loss for r in training(120, 1)][::2]
    assert np.allclose(runs[1].series["loss/loss"].value, wanted, atol=6e-5)
    assert set(runs[1].series) == {"loss/loss", "lr/all"}  # the settings are no series


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le", "utf-16-be", "gbk", "big5"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path, encoding, end):
    text = "".join(f"\x1b[32m字体, step {i}: loss {1 / (i + 1):.4f}\x1b[0m{end}" for i in range(30))
    text = text.replace("体", "體") if encoding == "big5" else text
    run = load(written(tmp_path, text, encoding=encoding))
    assert len(run.series["loss/loss"]) == 30 and run.last_step == 29


def test_a_last_line_that_does_not_end_is_left_out_and_said(tmp_path):
    text = "".join(f"step {i} loss {i + 0.25}\n" for i in range(20)) + "step 20 loss 2"
    run = load(written(tmp_path, text))
    assert run.last_step == 19 and "last line" in str(run.facts["source/remark"])


LOOK_ALIKES = {
    "prose.txt": "In step 3 the loss was 0.5, and in step 4 the loss was 0.4, which we like.\n\n"
    + "The quick brown fox jumps over the lazy dog and then it goes on and on.\n" * 30,
    "README.md": "# Train\n\nRun it and you will see\n\n```\nstep 0: loss 4.2\nstep 1: loss 3.2\n"
    "step 2: loss 2.2\nstep 3: loss 1.2\n```\n\n" + "Then go and look at the pictures.\n" * 9,
    "train.py": "import torch\nfrom x import y\n\ndef main():\n    lr = 0.1\n\ndef other():"
    "\n    lr = 0.2\n\nclass A:\n    lr = 0.3\n    loss = 3\n" * 3,
    "config.yaml": "optimizer:\n  lr: 0.1\n  layers:\n  - lr: 0.2\n    width: 3\n    kind: a\n"
    "    depth: 1\n    name: b\n    freeze: true\n",
    "pytest.txt": "test_a PASSED [ 10%]\ntest_b PASSED [ 20%]\ntest_c PASSED [ 30%]\n",
    "install.txt": "[ 1/20] Building a.o\n[ 2/20] Building b.o\n[ 3/20] Building c.o\n" * 4,
    "ping.txt": "64 bytes from host: icmp_seq=1 ttl=64 time=0.1 ms\n" * 5 + "0% packet loss\n",
    "results.md": "| model | accuracy |\n|---|---|\n| a | 0.9 |\n| b | 0.8 |\n| c | 0.7 |\n",
}  # fmt: skip


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_what_only_looks_like_a_log_is_none(tmp_path, name):
    assert not text_log.knows(written(tmp_path, LOOK_ALIKES[name], name))


def test_our_own_sources_and_documents_are_no_logs():
    root = Path(__file__).resolve().parents[2]
    files = [*root.glob("*.md"), *(root / "src" / "unstuck").rglob("*.py")]
    assert len(files) > 50 and not [f.name for f in files if text_log.knows(f)]


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000, "loss: " * 150_000, "1," * 500_000, "((((" * 250_000,
        "x=" + "9" * 10**6, "|" * 1_000_000, "\x1b[" * 500_000, "a.b/" * 250_000,
        "[=" * 500_000, "D(" * 500_000,
    ],
    ids=lambda t: t[:6],
)  # fmt: skip
def test_hostile_lines_take_no_time(tmp_path, text):
    path = written(tmp_path, "".join(f"step {i} loss {i}\n{text}\n" for i in range(4)))
    began = time.perf_counter()
    text_log.knows(path)
    (run,) = text_log.read(path)
    assert run.series["loss/loss"].value.tolist() == [0, 1, 2, 3]
    assert time.perf_counter() - began < 3  # of 4 MB; takes about 0.1


def test_a_log_is_found_behind_very_many_lines_of_other_words(tmp_path):
    other = "".join(f"w{i:x} {chr(97 + i % 26) * (i % 90)}={i}\n" for i in range(12_000))
    run = load(written(tmp_path, other + "".join(f"step {i} loss {i}\n" for i in range(900))))
    assert len(run.series["loss/loss"]) == 900


def test_text_without_a_loss_ends_in_one_line(tmp_path):
    with pytest.raises(UnreadableRunError, match="without a loss"):
        text_log.read(written(tmp_path, "hello\nworld\n"))
    with pytest.raises(UnreadableRunError, match="cannot be read"):
        text_log.read(tmp_path / "absent.log")
