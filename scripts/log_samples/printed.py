r"""Samples of what trainings print, into tests/logs/text-log.

    python scripts/log_samples/printed.py

Needs tqdm, xgboost, lightning and torch. tqdm, XGBoost, Lightning and the logging module print
their own; the other lines are laid out as the `print` of well-known training programs does it:
nanoGPT, the examples of PyTorch (mnist, imagenet, dcgan), pix2pix, PyTorch-GAN, zi2zi, Detectron2,
fastai. `keras.log` and `transformers.log` are made by keras_histories.py and trainer_states.py.
"""

import contextlib
import io
import logging
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from regression import training

OUT = Path(__file__).resolve().parents[2] / "tests" / "logs" / "text-log"


def nanogpt():
    print("tokens per iteration will be: 16,384\nnumber of parameters: 10.65M")
    print("using fused AdamW: False\nlearning_rate = 0.5\nbatch_size = 16")
    for r in training(300):
        if r.step % 100 == 0:
            print(f"step {r.step}: train loss {r.loss:.4f}, val loss {r.val_loss:.4f}")
        if r.step % 10 == 0:
            print(f"iter {r.step}: loss {r.loss:.4f}, time {30 + r.accuracy:.2f}ms, mfu 1.20%")


def mnist():
    for r in training(90):
        epoch, batch = r.step // 30 + 1, r.step % 30
        if batch % 5 == 0:
            share = 100.0 * batch / 30
            print(f"Train Epoch: {epoch} [{batch * 16}/480 ({share:.0f}%)]\tLoss: {r.loss:.6f}")
        if batch == 29:
            right = round(r.accuracy * 128)
            print(f"\nTest set: Average loss: {r.val_loss:.4f}, Accuracy: {right}/128 "
                  f"({100 * r.accuracy:.0f}%)\n")  # fmt: skip


def imagenet():
    print("=> creating model 'resnet18'")
    means = []
    for r in training(180):
        epoch, batch = r.step // 60, r.step % 60
        means = [*means, r.loss] if batch else [r.loss]
        if batch % 10 == 0:
            print(f"Epoch: [{epoch}][{batch:2d}/60]\tTime  0.213 ( 0.300)\tData  0.100 ( 0.102)\t"
                  f"Loss {r.loss:.4e} ({np.mean(means):.4e})\tAcc@1 {100 * r.accuracy:6.2f} "
                  "( 50.00)")  # fmt: skip
        if batch == 59:
            for i in range(0, 20, 10):
                print(f"Test: [{i:2d}/20]\tTime  0.113 ( 0.200)\tLoss {r.val_loss + 0.1:.4e} "
                      f"({r.val_loss:.4e})\tAcc@1 {100 * r.accuracy - 5:6.2f} "
                      f"({100 * r.accuracy:6.2f})")  # fmt: skip
            print(f" *   Acc@1 {100 * r.accuracy:.3f} Acc@5 99.000")


def dcgan():
    print("Starting Training Loop...")
    for r in training(100):
        if r.step % 5 == 0:
            print(f"[{r.step // 50}/2][{r.step % 50}/50]\tLoss_D: {r.loss:.4f}\tLoss_G: "
                  f"{4 - r.loss:.4f}\tD(x): {r.accuracy:.4f}\tD(G(z)): 0.3 / 0.02")  # fmt: skip


def pytorch_gan():
    for r in training(100):
        print(f"[Epoch {r.step // 50}/2] [Batch {r.step % 50}/50] [D loss: {r.loss:f}] "
              f"[G loss: {4 - r.loss:f}]")  # fmt: skip


def pix2pix():
    print("----------------- Options ---------------\n       batch_size: 1\n       lr: 0.0002")
    for r in training(100):
        if r.step % 5 == 0:
            print(f"(epoch: {r.step // 50 + 1}, iters: {r.step % 50 + 1}, time: 0.142, data: 0.112)"
                  f" G_GAN: {r.loss:.3f} G_L1: {20 * r.loss:.3f} D_real: 0.512 "
                  f"D_fake: {r.val_loss:.3f} ")  # fmt: skip
        if r.step % 50 == 49:
            print(f"saving the latest model (epoch {r.step // 50 + 1}, total_iters {r.step + 1})")
            print(f"End of epoch {r.step // 50 + 1} / 200 \t Time Taken: 12 sec")
            print(f"learning rate 0.0002000 -> {0.0002 * r.lr:.7f}")


def font_gan():
    print("字体: 宋体 -> 楷体\nunpickled total 223 examples")
    for r in training(120):
        if r.step % 4 == 0:
            print(f"Epoch: [{r.step // 60:2d}], [{r.step % 60:4d}/  60] time: {r.step * 4:4.4f}, "
                  f"d_loss: {r.loss:.5f}, g_loss: {25 + r.val_loss:.5f}, category_loss: 0.00012, "
                  f"cheat_loss: {4 - r.loss:.5f}, const_loss: {r.val_loss:.5f}, "
                  f"l1_loss: {20 * r.loss:.5f}")  # fmt: skip
    print("训练结束")


def detectron():
    for r in training(200):
        if r.step % 20 == 19:
            minute, second = divmod(r.step, 60)
            print(f"\x1b[32m[11/05 12:0{minute}:{second:02d} d2.utils.events]: \x1b[0m eta: "
                  f"0:0{3 - minute}:{second:02d}  iter: {r.step}  total_loss: {2 * r.loss:.4g}"
                  f"  loss_cls: {r.loss:.4g}  loss_box_reg: {r.loss:.4g}  time: 0.2311  "
                  f"data_time: 0.0021  lr: {r.lr:.5g}  max_mem: 2312M")  # fmt: skip


def fastai():
    print("epoch     train_loss  valid_loss  accuracy  time    ")
    for r in training(80):
        if r.step % 10 == 9:
            print(f"{r.step // 10:<10}{r.loss:<12.6f}{r.val_loss:<12.6f}{r.accuracy:<10.6f}00:0"
                  f"{r.step // 20}     ")  # fmt: skip


def logged_twice():
    """A script that was started, started anew, killed, and resumed from step 60."""
    logger = logging.Logger("train")
    handler = logging.StreamHandler(sys.stdout)
    form = "2026-11-05 12:00:0%(levelno)s,%(lineno)03d - %(name)s - %(levelname)s - %(message)s"
    handler.setFormatter(logging.Formatter(form))
    logger.addHandler(handler)
    for seed, first, last in ((0, 0, 80), (1, 0, 100), (1, 60, 120)):
        logger.info("settings: lr=0.5 batch_size=16 seed=%d", seed)
        for r in training(120, seed):
            if first <= r.step < last and r.step % 2 == 0:
                logger.info("step=%d loss=%.4f lr=%.3e", r.step, r.loss, r.lr)
            if r.step == 33:
                logger.warning(
                    "Traceback (most recent call last):\n"
                    '  File "data.py", line 12, in load\n    raise OSError\nOSError: disk'
                )


def bars():
    """tqdm, one bar an epoch, the validation in a bar of its own."""
    from tqdm import tqdm

    readings = list(training(120))
    for epoch in range(3):
        part = readings[epoch * 40 : epoch * 40 + 40]
        bar = tqdm(part, f"Epoch {epoch}", file=sys.stdout, ncols=90, mininterval=0)
        for r in bar:
            bar.set_postfix(loss=r.loss, lr=f"{r.lr:.1e}", refresh=True)
        for _ in tqdm(range(8), "Validating", file=sys.stdout, ncols=70, mininterval=0):
            pass
        print(f"epoch {epoch}: val_loss={r.val_loss:.4f} val_acc={100 * r.accuracy:.1f}%")


def plain():
    warnings.warn("lr_scheduler.step() was called before optimizer.step()", stacklevel=1)
    for r in training(60):
        print("loss", r.loss if r.step != 50 else float("nan"))


def xgboost():
    import xgboost

    random = np.random.default_rng(0)
    x = random.normal(size=(400, 6))
    y = x.sum(1) + random.normal(size=400) > 0
    parts = [xgboost.DMatrix(x[part], y[part]) for part in (slice(300), slice(300, None))]
    settings = {"objective": "binary:logistic", "eta": 0.3, "max_depth": 3, "nthread": 1, "seed": 0}
    xgboost.train(settings, parts[0], 40, evals=[(parts[0], "train"), (parts[1], "eval")])


def lightning():
    import torch
    from lightning import LightningModule, Trainer
    from lightning.pytorch.callbacks import TQDMProgressBar

    class Line(LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = torch.nn.Linear(8, 1)

        def training_step(self, batch, _):
            loss = (self.net(batch) - batch.sum(1, keepdim=True)).square().mean()
            self.log("train_loss", loss, prog_bar=True)
            return loss

        def validation_step(self, batch, _):
            loss = (self.net(batch) - batch.sum(1, keepdim=True)).square().mean()
            self.log("val_loss", loss, prog_bar=True)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.02)

    rows = torch.randn(320, 8, generator=torch.Generator().manual_seed(0))
    loaders = [torch.utils.data.DataLoader(part, 8) for part in (rows[:256], rows[256:])]
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    Trainer(
        max_epochs=3, logger=False, enable_checkpointing=False, enable_model_summary=False,
        accelerator="cpu", callbacks=[TQDMProgressBar(refresh_rate=2)],
    ).fit(Line(), *loaders)  # fmt: skip


ENCODINGS = {"font_gan": "gbk", "pix2pix": "utf-16"}
PRINTED = (
    *(nanogpt, mnist, imagenet, dcgan, pytorch_gan, pix2pix, font_gan, detectron, fastai),
    *(logged_twice, bars, plain, xgboost, lightning),
)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    os.environ["TQDM_DISABLE"] = ""
    for program in PRINTED:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            warnings.simplefilter("ignore" if program is lightning else "default")
            program()
        text = printed.getvalue().replace(str(Path(__file__).parent), "scripts")
        ends = "\r\n" if program is pix2pix else "\n"
        text = text.replace("\n", ends)
        name = program.__name__.replace("_", "-")
        (OUT / f"{name}.log").write_bytes(text.encode(ENCODINGS.get(program.__name__, "utf-8")))


if __name__ == "__main__":
    main()
