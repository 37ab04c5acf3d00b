"""Lightning's own Trainer, watched by the callback and without any change of the script."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import unstuck

pl = pytest.importorskip("lightning.pytorch")
from unstuck.integrations.lightning import WatchCallback, names_of, whole_passes  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
]


class Classifier(pl.LightningModule):
    def __init__(self, fails_at=-1):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
        self.made = []
        self.fails_at = fails_at

    def training_step(self, batch, i):
        if self.global_step == self.fails_at:
            raise ValueError("lost")
        x, y = batch
        data = F.cross_entropy(self.net(x), y)
        decay = sum(p.square().sum() for p in self.net.parameters())
        total = data + 1e-3 * decay
        self.made.append(float(total.detach()))
        self.log("train_loss", total)
        return total

    def validation_step(self, batch, i):
        x, y = batch
        logits = self.net(x)
        self.log("val/loss", F.cross_entropy(logits, y))
        self.log("accuracy", (logits.argmax(1) == y).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), 1e-2)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]


class Game(pl.LightningModule):
    """Two optimizers, stepped by hand."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.critic = nn.Linear(4, 10), nn.Linear(10, 1)

    def training_step(self, batch, i):
        real, _ = batch
        g_opt, d_opt = self.optimizers()
        fake = self.generator(torch.randn(len(real), 4))
        d_real = F.softplus(-self.critic(real)).mean()
        d_fake = F.softplus(self.critic(fake.detach())).mean()
        d_loss = 0.5 * d_real + 0.5 * d_fake
        d_opt.zero_grad()
        self.manual_backward(d_loss)
        d_opt.step()
        g_loss = F.softplus(-self.critic(fake)).mean()
        g_opt.zero_grad()
        self.manual_backward(g_loss)
        g_opt.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), 0.1) for part in (self.generator, self.critic)]


def fit(module, callbacks=(), checkpoint=None, **options):
    x = torch.randn(128, 10, generator=torch.Generator().manual_seed(1))
    data = TensorDataset(x, x[:, :3].argmax(1))
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **{"max_epochs": 3, **options},
    )
    loader = DataLoader(data, 16, shuffle=True)
    held_out = DataLoader(data, 32) if isinstance(module, Classifier) else None
    trainer.fit(module, loader, held_out, ckpt_path=checkpoint)
    return trainer


def trained(module=Classifier, watch=None, **options):
    torch.manual_seed(0)
    module = module()
    if watch == "callback":
        fit(module, [WatchCallback(options.pop("out"))], **options)
    elif watch == "hooks":
        with unstuck.watch(out=options.pop("out")):
            fit(module, **options)
    else:
        fit(module, **options)
    return [*module.state_dict().values(), torch.get_rng_state()]


@pytest.mark.parametrize("way", ["callback", "hooks"])
@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 2, "gradient_clip_val": 0.5}])
def test_watching_changes_no_bit(way, options, tmp_path):
    alone = trained(**options)
    watched = trained(watch=way, out=tmp_path / "run", **options)
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
    series = unstuck.load(tmp_path / "run").series
    assert {"loss/loss", "term/loss/data", "grad_norm/optimizer/Classifier.net.0"} <= series.keys()


@pytest.mark.parametrize("batches", [1, 2])
def test_the_loss_is_the_modules_own_and_has_its_terms(batches, tmp_path):
    torch.manual_seed(0)
    module = Classifier()
    fit(module, [WatchCallback(tmp_path / "run")], accumulate_grad_batches=batches)
    run = unstuck.load(tmp_path / "run")
    made = np.array(module.made).reshape(-1, batches).mean(axis=1)
    whole = run.series["loss/loss"].value
    assert abs(len(whole) - len(made)) <= 1  # where a step begins is the clock's to say
    assert np.mean(whole) == pytest.approx(np.mean(made), rel=0.02)
    assert run.series["weight/loss/data"].value == pytest.approx(1.0)
    assert run.series["weight/loss/decay"].value == pytest.approx(1e-3)
    assert "term/loss/total" not in run.series


def test_what_the_module_logs_is_recorded_in_its_split(tmp_path):
    torch.manual_seed(0)
    trainer = fit(Classifier(), [WatchCallback(tmp_path / "run", "mine")])
    run = unstuck.load(tmp_path / "run")
    logged = trainer.callback_metrics
    for name, key in (("loss", "val/loss"), ("accuracy", "accuracy")):
        series = run.series[f"metric/val/{name}"]
        assert len(series) == 3, "the sanity check is no validation"
        assert series.value[-1] == pytest.approx(float(logged[key]))
    assert len(run.series["metric/train/loss"]) == 3
    assert run.series["epoch"].value.tolist() == [0, 1, 2]
    assert "metric/train/accuracy" not in run.series
    assert run.series["lr/optimizer"].value[[0, -1]].tolist() == [0.01, 0.0025]
    assert run.name == "mine" and run.recipe["fails_at"] == -1
    assert run.facts["parameters/Classifier"] == 10 * 16 + 16 + 16 * 3 + 3


def test_an_error_in_training_ends_the_record_and_leaves_no_hook(tmp_path):
    backward = torch.Tensor.backward
    with pytest.raises(ValueError, match="lost"):
        fit(Classifier(fails_at=5), [WatchCallback(tmp_path / "run")])
    run = unstuck.load(tmp_path / "run")
    assert run.facts["exit/exception"] == "ValueError: lost"
    assert len(run.series["loss/loss"]) == 5
    assert torch.Tensor.backward is backward


def test_a_folder_that_holds_a_run_is_kept_and_training_goes_on(tmp_path, capsys):
    watching = WatchCallback(tmp_path / "run")
    fit(Classifier(), [watching], max_epochs=1)
    before = unstuck.load(tmp_path / "run").series["loss/loss"]
    trainer = fit(Classifier(), [watching], max_epochs=2)
    assert trainer.global_step == 16
    assert "training goes on unwatched" in capsys.readouterr().err
    assert unstuck.load(tmp_path / "run").series["loss/loss"] == before


def test_a_resumed_training_says_where_it_goes_on(tmp_path):
    first = fit(Classifier(), max_epochs=1)
    first.save_checkpoint(tmp_path / "last.ckpt")
    fit(Classifier(), [WatchCallback(tmp_path / "run")], tmp_path / "last.ckpt")
    run = unstuck.load(tmp_path / "run")
    assert run.facts["resumed/step"] == 8
    assert run.series["epoch"].value.tolist() == [1, 2]
    assert len(run.series["loss/loss"]) == 16


def test_a_game_with_two_optimizers_keeps_its_names(tmp_path):
    torch.manual_seed(0)
    fit(Game(), [WatchCallback(tmp_path / "run")])
    run = unstuck.load(tmp_path / "run")
    assert {n for n in run.series if n.startswith("loss/")} == {"loss/d_loss", "loss/g_loss"}
    assert {"lr/generator", "lr/critic", "weight/d_loss/d_real"} <= run.series.keys()
    assert len(run.series["loss/g_loss"]) == 24


def test_optimizers_of_mixed_parts_are_numbered():
    module = Game()
    mixed = torch.optim.SGD(module.parameters(), 0.1)
    part = torch.optim.SGD(module.critic.parameters(), 0.1)
    assert list(names_of(module, [mixed, part, part])) == ["optimizer.0", "critic", "critic.2"]
    assert list(names_of(module, [part])) == ["optimizer"]


def test_of_a_metric_of_steps_and_epochs_one_is_taken():
    logged = {"loss": 1, "loss_step": 2, "loss_epoch": 1, "one_step": 3}
    assert whole_passes(logged) == {"loss": 1, "one_step": 3}


def test_a_script_needs_no_change(tmp_path):
    (tmp_path / "train.py").write_text(
        textwrap.dedent(
            """
            import sys
            sys.path.insert(0, sys.argv[1])
            import torch
            from test_integration_lightning import Classifier, fit
            torch.manual_seed(0)
            print(fit(Classifier(), accumulate_grad_batches=2, max_epochs=2).callback_metrics)
            """
        )
    )
    here = str(Path(__file__).parent)
    command = [sys.executable, "-W", "ignore", "train.py", here]
    plain = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    command = [sys.executable, "-m", "unstuck", "run", "--out", "run", "train.py", here]
    watched = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert watched.returncode == plain.returncode == 0, watched.stderr
    assert watched.stdout == plain.stdout
    run = unstuck.load(tmp_path / "run")
    wanted = {"loss/loss", "term/loss/data", "weight/loss/decay", "lr/optimizer"}
    assert wanted | {"metric/val/cross_entropy", "orphaned/Classifier"} <= run.series.keys()
    seen = run.series["metric/val/cross_entropy"].value
    assert run.series["metric/val/loss"].value == pytest.approx(seen, rel=1e-5)
    assert len(seen) == 2
    assert run.series["weight/loss/data"].value == pytest.approx(1.0)
