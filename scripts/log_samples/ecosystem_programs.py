"""The trainings whose captures ecosystem.py takes: one small function a program."""

import os
from collections.abc import Callable
from pathlib import Path

KEPT: dict[str, str] = {}  # capture -> the file it is a copy of, where it is not what was printed
ON_TERMINAL: set[str] = set()
PROGRAMS = [
    "catboost",
    "lightgbm",
    "xgboost",
    "scikit_learn",
    "ignite",
    "fastai",
    "skorch",
    "sb3_ppo",
    "sb3_dqn",
    "keras_two_outputs",
    "lightning_rich",
    "trl_dpo",
]


def kept(file: str, *, under: str = "") -> Callable[[Callable[[], None]], Callable[[], None]]:
    """The capture is a file the program wrote, not what it printed."""

    def mark(train: Callable[[], None]) -> Callable[[], None]:
        KEPT[under or train.__name__ + Path(file).suffix] = file
        return train

    return mark


def on_terminal(train: Callable[[], None]) -> Callable[[], None]:
    ON_TERMINAL.add(train.__name__)
    return train


def table():
    import numpy as np

    random = np.random.default_rng(0)
    x = random.normal(size=(400, 6))
    y = (x @ random.normal(size=6) + 0.3 * random.normal(size=400) > 0).astype(int)
    return x[:300], y[:300], x[300:], y[300:]


def tensors():
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    x, y, held_x, held_y = table()
    as_float = [torch.tensor(it, dtype=torch.float32) for it in (x, held_x)]
    return as_float[0], torch.tensor(y), as_float[1], torch.tensor(held_y)


def small_net():
    from torch import nn

    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))


@kept("catboost_info/learn_error.tsv", under="catboost_learn_error.tsv")
def catboost():
    from catboost import CatBoostClassifier

    x, y, held_x, held_y = table()
    model = CatBoostClassifier(iterations=60, random_seed=0, thread_count=1, depth=3, verbose=5)
    model.fit(x, y, eval_set=(held_x, held_y))


def lightgbm():
    import lightgbm as lgb

    x, y, held_x, held_y = table()
    data = lgb.Dataset(x, y)
    lgb.train(
        {"objective": "binary", "metric": ["binary_logloss", "auc"], "num_threads": 1, "seed": 0,
         "learning_rate": 0.05},
        data, 40, valid_sets=[data, data.create_valid(held_x, held_y)],
        callbacks=[lgb.log_evaluation(2)],
    )  # fmt: skip


def xgboost():
    from xgboost import XGBRegressor

    x, y, held_x, held_y = table()
    XGBRegressor(n_estimators=40, n_jobs=1, learning_rate=0.1, max_depth=2).fit(
        x, y, eval_set=[(x, y), (held_x, held_y)], verbose=2
    )


def scikit_learn():
    from sklearn.neural_network import MLPClassifier

    x, y, _, _ = table()
    MLPClassifier((16,), max_iter=40, random_state=0, verbose=True).fit(x, y)


def ignite():
    import torch
    from ignite.contrib.handlers import ProgressBar
    from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
    from ignite.metrics import Accuracy, Loss, RunningAverage
    from torch.utils.data import DataLoader, TensorDataset

    x, y, held_x, held_y = tensors()
    net, criterion = small_net(), torch.nn.CrossEntropyLoss()
    trainer = create_supervised_trainer(net, torch.optim.Adam(net.parameters(), 1e-2), criterion)
    metrics = {"accuracy": Accuracy(), "nll": Loss(criterion)}
    evaluator = create_supervised_evaluator(net, metrics=metrics)
    RunningAverage(output_transform=lambda it: it).attach(trainer, "loss")
    bar = ProgressBar(persist=True)
    bar.attach(trainer, ["loss"])
    held = DataLoader(TensorDataset(held_x, held_y), 50)

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate(engine):
        found = evaluator.run(held).metrics
        bar.log_message(
            f"Validation Results - Epoch: {engine.state.epoch} Avg accuracy: "
            f"{found['accuracy']:.2f} Avg loss: {found['nll']:.2f}"
        )

    trainer.run(DataLoader(TensorDataset(x, y), 30), max_epochs=8)


def fastai():
    import fastai.callback.schedule  # noqa: F401 (gives a Learner its fit_one_cycle)
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.metrics import accuracy, error_rate
    from torch import nn
    from torch.utils.data import TensorDataset

    x, y, held_x, held_y = tensors()
    data = DataLoaders.from_dsets(
        TensorDataset(x, y), TensorDataset(held_x, held_y), bs=30, num_workers=0
    )
    learner = Learner(data, small_net(), loss_func=nn.CrossEntropyLoss(),
                      metrics=[error_rate, accuracy])  # fmt: skip
    learner.fit_one_cycle(12, 1e-2)


def skorch():
    import torch
    from skorch import NeuralNetClassifier

    x, y, _, _ = tensors()
    NeuralNetClassifier(
        small_net(), criterion=torch.nn.CrossEntropyLoss, max_epochs=25, lr=0.2
    ).fit(x, y)


def stable_baselines(name):
    import stable_baselines3
    import torch
    from stable_baselines3.common.logger import configure

    torch.set_num_threads(1)
    options = {"dqn": {"learning_starts": 200}, "ppo": {"n_steps": 256}}[name]
    model = getattr(stable_baselines3, name.upper())("MlpPolicy", "CartPole-v1", seed=0, **options)
    model.set_logger(configure(".", ["stdout", "csv"]))
    model.learn(3000)


def sb3_ppo():
    stable_baselines("ppo")


@kept("progress.csv")
def sb3_dqn():
    stable_baselines("dqn")


@kept("log.csv")
def keras_two_outputs():
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    keras.utils.set_random_seed(0)
    x, y, held_x, held_y = table()
    put = keras.Input((6,))
    inner = keras.layers.Dense(16, activation="relu")(put)
    kind = keras.layers.Dense(1, activation="sigmoid", name="kind")(inner)
    size = keras.layers.Dense(1, name="size")(inner)
    model = keras.Model(put, {"kind": kind, "size": size})
    model.compile("adam", {"kind": "binary_crossentropy", "size": "mse"},
                  metrics={"kind": "accuracy", "size": "mae"})  # fmt: skip
    held = (held_x, {"kind": held_y, "size": held_x.sum(1)})
    model.fit(x, {"kind": y, "size": x.sum(1)}, validation_data=held, epochs=15, verbose=0,
              callbacks=[keras.callbacks.CSVLogger("log.csv")])  # fmt: skip


@on_terminal
def lightning_rich():
    import lightning
    import torch
    from lightning.pytorch.callbacks import RichProgressBar
    from torch.utils.data import DataLoader, TensorDataset

    x, y, held_x, held_y = tensors()

    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = small_net()

        def training_step(self, batch, _):
            loss = torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("train_loss", loss, prog_bar=True)
            return loss

        def validation_step(self, batch, _):
            loss = torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("val_loss", loss, prog_bar=True)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-2)

    lightning.Trainer(
        max_epochs=6, logger=False, enable_checkpointing=False, enable_model_summary=False,
        callbacks=[RichProgressBar(refresh_rate=5)], accelerator="cpu",
    ).fit(Classifier(), DataLoader(TensorDataset(x, y), 30),
          DataLoader(TensorDataset(held_x, held_y), 50))  # fmt: skip


@kept("out/trainer_state.json")
def trl_dpo():
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, set_seed
    from trl import DPOConfig, DPOTrainer

    set_seed(0)
    words = ["<pad>", "<eos>", "is", "it", "day", "night", "yes", "no"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    sizes = {"n_layer": 1, "n_head": 1, "n_embd": 16, "n_positions": 16, "vocab_size": 8}
    config = GPT2Config(**sizes, bos_token_id=1, eos_token_id=1, pad_token_id=0)
    model, before = GPT2LMHeadModel(config), GPT2LMHeadModel(config)
    before.load_state_dict(model.state_dict())
    asked = ["is it day", "is it night"] * 20
    data = Dataset.from_dict({"prompt": asked, "chosen": [" yes"] * 40, "rejected": [" no"] * 40})
    settings = DPOConfig("out", per_device_train_batch_size=4, max_steps=24, logging_steps=4,
                         learning_rate=1e-2, report_to="none", use_cpu=True, save_strategy="no",
                         eval_strategy="steps", eval_steps=12, disable_tqdm=True)  # fmt: skip
    trainer = DPOTrainer(model, before, args=settings, train_dataset=data, eval_dataset=data,
                         processing_class=fast)  # fmt: skip
    trainer.train()
    trainer.save_state()
