"""Samples of Lightning's CSVLogger, into tests/logs/lightning-csv.

    python scripts/log_samples/lightning_tables.py

Needs lightning. `classifier` holds two versions of a run: one with training and validation, rates
and settings, and one that was started once more from its checkpoint.
"""

import logging
import shutil
import tempfile
import warnings
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

OUT = Path(__file__).resolve().parents[2] / "tests" / "logs" / "lightning-csv"


class Classifier(lightning.LightningModule):
    def __init__(self, lr: float = 0.3, width: int = 8) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Linear(width, 2)
        )

    def training_step(self, batch, _):
        loss = functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        out = self.net(batch[0])
        self.log("val_loss", functional.cross_entropy(out, batch[1]))
        self.log("val_acc", (out.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2)]


def loader(seed: int, count: int) -> DataLoader:
    x = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
    return DataLoader(TensorDataset(x, (x.sum(1) > 0).long()), 16)


def fitted(folder: str, epochs: int, checkpoint: str | None = None) -> None:
    lightning.seed_everything(0, verbose=False)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=CSVLogger(folder, name="classifier", flush_logs_every_n_steps=1),
        callbacks=[
            LearningRateMonitor("step"),
            ModelCheckpoint(folder, filename=f"after-{epochs}", save_weights_only=False),
        ],
        log_every_n_steps=4,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Classifier(0.3, 8)
    trainer.fit(model, loader(1, 480), loader(2, 128), ckpt_path=checkpoint)


def main() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    shutil.rmtree(OUT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        fitted(folder, 4)
        fitted(folder, 6, f"{folder}/after-4.ckpt")
        shutil.copytree(Path(folder) / "classifier", OUT / "classifier")


if __name__ == "__main__":
    main()
