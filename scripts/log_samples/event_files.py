"""Samples of TensorBoard's event files, into tests/logs/tensorboard.

    python scripts/log_samples/event_files.py [--only NAME]

Needs torch, tensorboard, tensorboardX, lightning; the samples `keras` and `tensorflow` need
tensorflow, and are left as they are without it. Each sample is a logistic regression on random
numbers, logged with the writer it is named after. What tensorboard itself reads in the samples
goes to tests/unit/tensorboard_expected.json. Files are renamed: their names tell the machine's.
"""

import argparse
import importlib.util
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "logs" / "tensorboard"
EXPECTED = ROOT / "tests" / "unit" / "tensorboard_expected.json"
BEGAN = 1_700_000_000.0  # wall time of step 0
RECIPE = {"lr": 0.5, "batch_size": 16, "optimizer": "sgd", "nesterov": False}


def training(steps: int = 60, seed: int = 0, first: int = 0) -> Iterator[tuple[int, dict]]:
    """Logistic regression by gradient descent: what one would log of it."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=8)
    x, held = random.normal(size=(256, 8)), random.normal(size=(128, 8))
    weight = np.zeros(8)
    for step in range(steps):
        batch = x[random.integers(256, size=16)]
        chance = 1 / (1 + np.exp(-batch @ weight))
        error = chance - (batch @ truth > 0)
        gradient = batch.T @ error / 16
        weight -= RECIPE["lr"] * gradient
        if step >= first:
            yield (
                step,
                {
                    "train/loss": loss_of(batch, truth, weight),
                    "val/loss": loss_of(held, truth, weight),
                    "val/accuracy": float(np.mean((held @ weight > 0) == (held @ truth > 0))),
                    "lr": RECIPE["lr"],
                    "grad_norm": float(np.linalg.norm(gradient)),
                },
            )


def loss_of(x: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> float:
    margin = np.where(x @ truth > 0, 1, -1) * (x @ weight)
    return float(np.mean(np.log1p(np.exp(-margin))))


def log(writer, values: Iterator, **options) -> None:
    for step, named in values:
        for name, value in named.items():
            writer.add_scalar(name, value, step, BEGAN + step / 2, **options)


def torch_everything(out: Path) -> None:
    """Scalars among histograms, pictures, text and a graph of the recipe; add_scalars."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(out) as writer:
        writer.add_text("about", "a logistic regression", 0, BEGAN)
        writer.add_image("noise", np.random.default_rng(0).random((3, 8, 8)), 0, BEGAN)
        for step, named in training(150):
            for name, value in named.items():
                writer.add_scalar(name, value, step, BEGAN + step / 2)
            if step % 10 == 0:
                both = {"train": named["train/loss"], "val": named["val/loss"]}
                writer.add_scalars("both/loss", both, step, BEGAN + step / 2)
            if step % 100 == 0:
                draws = np.random.default_rng(step).normal(size=50)
                writer.add_histogram("weights", draws, step, walltime=BEGAN + step / 2)
        writer.add_hparams(RECIPE, {"hparam/accuracy": 0.9}, run_name="trial")


def torch_tensors(out: Path) -> None:
    """Scalars as tensors: new_style, in single and in double precision."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(out) as writer:
        log(writer, training(), new_style=True)
        for step, named in training():
            writer.add_scalar(
                "train/nll", named["train/loss"], step, BEGAN, new_style=True, double_precision=True
            )


def torch_restarts(out: Path) -> None:
    """A run that begins again at step 40 of 60 and says so, then at 50 and does not."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(out) as writer:
        log(writer, training())
        writer.add_scalar("only/before", 1.0, 10, BEGAN)
        writer.add_scalar("only/before", 1.0, 55, BEGAN)
    with SummaryWriter(out, purge_step=40) as writer:
        log(writer, training(60, seed=1, first=40))
    with SummaryWriter(out) as writer:
        log(writer, training(70, seed=2, first=50))


def torch_sweep(out: Path) -> None:
    """Three runs in a folder that has no event file itself; one folder deeper, one more."""
    from torch.utils.tensorboard import SummaryWriter

    for i, name in enumerate(("lr-0.1", "lr-0.5", "older/lr-1.0")):
        with SummaryWriter(out / name) as writer:
            log(writer, training(30, seed=i))


def torch_splits(out: Path) -> None:
    """A writer for training and one for validation: two directories, one run."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(out / "train") as train, SummaryWriter(out / "val") as val:
        for step, named in training():
            train.add_scalar("loss", named["train/loss"], step, BEGAN + step)
            if step % 5 == 0:
                val.add_scalar("loss", named["val/loss"], step, BEGAN + step)


def torch_unnumbered(out: Path) -> None:
    """No step was ever given."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(out) as writer:
        for step, named in training():
            writer.add_scalar("loss", named["train/loss"], walltime=BEGAN + step)


def torch_killed(out: Path) -> None:
    """The file of a run that was killed while it wrote: its last record is cut off."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(out) as writer:
        log(writer, training())
    (file,) = out.iterdir()
    os.truncate(file, file.stat().st_size - 7)


def tensorboardx(out: Path) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(out)) as writer:
        log(writer, training())
        for step, named in training():
            both = {"train": named["train/loss"], "val": named["val/loss"]}
            writer.add_scalars("both", both, step, BEGAN + step / 2)
        writer.add_hparams(RECIPE, {"hparam/accuracy": 0.9}, name="trial")


def lightning(out: Path) -> None:
    import torch
    from lightning.pytorch import LightningModule, Trainer, seed_everything
    from lightning.pytorch.loggers import TensorBoardLogger
    from torch.utils.data import DataLoader, TensorDataset

    class Logistic(LightningModule):
        def __init__(self, lr: float = 0.5, layers: tuple = (8, 1)) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = torch.nn.Linear(*layers)

        def training_step(self, batch, _):
            return self.logged("train", batch)

        def validation_step(self, batch, _):
            self.logged("val", batch)

        def logged(self, split, batch):
            x, y = batch
            loss = torch.nn.functional.binary_cross_entropy_with_logits(self.net(x)[:, 0], y)
            self.log(f"{split}_loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

    seed_everything(0, verbose=False)
    x = torch.randn(512, 8)
    data = DataLoader(TensorDataset(x, (x.sum(1) > 0).float()), batch_size=16)
    logger = TensorBoardLogger(out.parent, name=out.name, version=0)
    trainer = Trainer(
        max_epochs=4, logger=logger, log_every_n_steps=4, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(Logistic(), data, data)


def keras(out: Path) -> None:
    """Keras's callback: a directory for training and one for validation, steps are epochs."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
    y = (x.sum(1) > 0).astype("float32")
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    callback = tf.keras.callbacks.TensorBoard(out, write_graph=False)
    model.fit(x, y, epochs=12, verbose=0, validation_split=0.25, callbacks=[callback])


def tensorflow(out: Path) -> None:
    """TensorFlow 2's own writer: tensors of several number types."""
    import tensorflow as tf

    types = {"train/loss": tf.float32, "val/loss": tf.float64, "val/accuracy": tf.float16}
    with tf.summary.create_file_writer(str(out)).as_default():
        for step, named in training():
            for name, value in named.items():
                tf.summary.scalar(name, tf.cast(value, types.get(name, tf.float32)), step)
            tf.summary.scalar("images_seen", tf.constant(16 * step, tf.int64), step)


def renamed(folder: Path) -> None:
    """File names without host and process: `events.out.tfevents.<number>.host.0`."""
    for place in {file.parent for file in folder.rglob("*tfevents*")}:
        files = sorted(place.glob("*tfevents*"), key=lambda file: file.stat().st_ctime_ns)
        for i, file in enumerate(files):
            ending = ".v2" if file.name.endswith(".v2") else ""
            file.rename(file.with_name(f"events.out.tfevents.{BEGAN + i:.0f}.host.0{ending}"))


def as_tensorboard_reads(folder: Path) -> dict:
    """Of each tag: how many readings, the sum of their steps, of their values, of wall times."""
    log = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    found = {tag: log.Scalars(tag) for tag in log.Tags()["scalars"]}
    told = {t: [[e.step, e.value, e.wall_time] for e in found[t]] for t in found}
    scalars = log._plugin_to_tag_to_content.get("scalars", {})
    for tag in set(log.Tags()["tensors"]) & set(scalars):
        told[tag] = [
            [e.step, float(make_ndarray(e.tensor_proto)), e.wall_time] for e in log.Tensors(tag)
        ]
    sums = {t: np.array(rows, dtype=float).sum(0).tolist() for t, rows in told.items()}
    return {t: [len(told[t]), *sums[t]] for t in sorted(told)}


SAMPLES = {
    "torch": torch_everything, "torch-tensors": torch_tensors, "torch-restarts": torch_restarts,
    "torch-sweep": torch_sweep, "torch-splits": torch_splits, "torch-unnumbered": torch_unnumbered,
    "torch-killed": torch_killed, "tensorboardx": tensorboardx, "lightning": lightning,
    "keras": keras, "tensorflow": tensorflow,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=SAMPLES)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, make in SAMPLES.items():
        if name in ("keras", "tensorflow") and not importlib.util.find_spec("tensorflow"):
            continue
        if name in ("lightning",) and not importlib.util.find_spec("lightning"):
            continue
        if options.only in (None, name):
            folder = OUT / name
            if folder.exists():
                shutil.rmtree(folder)
            make(folder)
            renamed(folder)
    told = {
        folder.relative_to(OUT).as_posix(): as_tensorboard_reads(folder)
        for folder in sorted({file.parent for file in OUT.rglob("*tfevents*")})
    }
    EXPECTED.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
