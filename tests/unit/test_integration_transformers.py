"""The real Trainer of Transformers, watched by the callback and by the hooks alone."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

import unstuck

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")
from unstuck.integrations.transformers import WatchCallback, innermost  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")]


def language_model():
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=64,
            n_positions=16,
            n_embd=16,
            n_layer=1,
            n_head=2,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


class TwoTerms(transformers.Trainer):
    """A loss of the script's own, as many write one."""

    def compute_loss(self, model, inputs, return_outputs=False, **options):
        outputs = model(**inputs)
        fit = outputs.loss
        size = outputs.logits.square().mean()
        loss = fit + 0.1 * size
        return (loss, outputs) if return_outputs else loss


class Regressor(nn.Module):
    """Any module may be trained that gives a loss."""

    def __init__(self, fails_at=10**9):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.calls, self.fails_at = 0, fails_at

    def forward(self, x, labels=None):
        self.calls += 1
        if self.calls > self.fails_at:
            raise ValueError("lost")
        out = self.net(x)
        return {"loss": (out[:, 0] - labels).square().mean(), "logits": out}


def tokens(count=64):
    numbers = torch.Generator().manual_seed(1)
    rows = torch.randint(0, 64, (count, 12), generator=numbers)
    return [{"input_ids": row, "labels": row} for row in rows]


def points(count=64):
    x = torch.randn(count, 4, generator=torch.Generator().manual_seed(1))
    return [{"x": row, "labels": row.sum()} for row in x]


def measured(prediction):
    return {"error": float(abs(prediction.predictions[:, 0] - prediction.label_ids).mean())}


def trainer_of(model, rows, out, callbacks=(), kind=transformers.Trainer, measure=None, **options):
    settings = {
        "output_dir": str(out / "trainer"),
        "per_device_train_batch_size": 8,
        "num_train_epochs": 2,
        "logging_steps": 4,
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "learning_rate": 1e-2,
        "dataloader_pin_memory": False,
    }
    return kind(
        model=model,
        args=transformers.TrainingArguments(**settings | options),
        train_dataset=rows,
        eval_dataset=rows[:16],
        compute_metrics=measure,
        callbacks=list(callbacks),
    )


def trained(out, watch=None, **options):
    torch.manual_seed(0)
    model = language_model()
    callbacks = [WatchCallback(out / "run")] if watch == "callback" else []
    trainer = trainer_of(model, tokens(), out, callbacks, **options)
    if watch == "hooks":
        with unstuck.watch(out=out / "run"):
            trainer.train()
    else:
        trainer.train()
    return [*model.state_dict().values(), torch.get_rng_state()]


@pytest.mark.parametrize("way", ["callback", "hooks"])
@pytest.mark.parametrize(
    "options", [{}, {"gradient_accumulation_steps": 2, "kind": TwoTerms, "bf16": True}]
)
def test_watching_changes_no_bit(way, options, tmp_path):
    alone = trained(tmp_path, **options)
    watched = trained(tmp_path, way, **options)
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
    series = unstuck.load(tmp_path / "run").series
    assert {"loss/loss", "lr/optimizer"} <= series.keys()
    assert "grad_norm/optimizer/model.transformer.h.0.attn.c_attn" in series


def test_what_the_trainer_logs_is_recorded_in_its_split(tmp_path):
    watching = WatchCallback(tmp_path / "run", "mine")
    trainer = trainer_of(Regressor(), points(), tmp_path, [watching], measure=measured)
    trainer.train()
    run = unstuck.load(tmp_path / "run")
    logs = trainer.state.log_history
    for key, name in (("eval_loss", "loss"), ("eval_error", "error")):
        wanted = [row[key] for row in logs if key in row]
        assert run.series[f"metric/val/{name}"].value.tolist() == pytest.approx(wanted)
    wanted = [row["loss"] for row in logs if "loss" in row]
    assert run.series["metric/train/loss"].value.tolist() == pytest.approx(wanted)
    assert not [n for n in run.series if "runtime" in n or "per_second" in n or "flos" in n]
    assert run.series["epoch"].value[-1] == 2
    assert run.name == "mine" and run.recipe["learning_rate"] == 1e-2
    assert run.recipe["lr_scheduler_type"] == "linear"
    assert len(run.series["loss/loss"]) == trainer.state.global_step == 16


def test_terms_of_a_loss_of_the_scripts_own(tmp_path):
    torch.manual_seed(0)
    trainer = trainer_of(language_model(), tokens(), tmp_path, kind=TwoTerms)
    with unstuck.watch(out=tmp_path / "run"):
        trainer.train()
    run = unstuck.load(tmp_path / "run")
    terms = {name for name in run.series if name.startswith("weight/")}
    assert terms == {"weight/loss/fit", "weight/loss/size"}
    assert run.series["weight/loss/size"].value == pytest.approx(0.1)
    wanted = [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row]
    assert run.series["metric/val/loss"].value.tolist() == pytest.approx(wanted)
    assert run.series["metric/val/loss"].step.tolist() == [7, 15]
    assert run.series["loss/loss"].value[0] == pytest.approx(
        run.series["term/loss/fit"].value[0] + 0.1 * run.series["term/loss/size"].value[0]
    )


def test_after_an_error_the_next_training_is_recorded_anew(tmp_path):
    watching = WatchCallback()
    broken = trainer_of(Regressor(fails_at=5), points(), tmp_path, [watching])
    backward = torch.Tensor.backward
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("UNSTUCK_RUNS", str(tmp_path / "runs"))
        with pytest.raises(ValueError, match="lost"):
            broken.train()
        trainer_of(Regressor(), points(), tmp_path, [watching]).train()
    assert torch.Tensor.backward is backward
    lengths = [len(r.series["loss/loss"]) for r in unstuck.load(tmp_path / "runs")]
    assert sorted(lengths) == [5, 16]


def test_a_resumed_training_says_where_it_goes_on(tmp_path):
    saving = {"save_strategy": "epoch", "num_train_epochs": 1}
    trainer_of(Regressor(), points(), tmp_path, **saving).train()
    watching = WatchCallback(tmp_path / "run")
    trainer = trainer_of(Regressor(), points(), tmp_path, [watching])
    trainer.train(resume_from_checkpoint=True)
    run = unstuck.load(tmp_path / "run")
    assert run.facts["resumed/step"] == 8
    assert len(run.series["loss/loss"]) == 8


def test_the_optimizer_inside_the_wrappers_is_the_one_that_steps():
    from accelerate.optimizer import AcceleratedOptimizer

    own = torch.optim.SGD(nn.Linear(2, 2).parameters(), 0.1)
    assert innermost(AcceleratedOptimizer(own)) is own
    assert innermost(own) is own
    assert innermost(None) is None


def test_a_script_needs_no_change(tmp_path):
    (tmp_path / "train.py").write_text(
        textwrap.dedent(
            """
            import pathlib, sys
            sys.path.insert(0, sys.argv[1])
            import torch
            from test_integration_transformers import TwoTerms, language_model, tokens, trainer_of
            torch.manual_seed(0)
            trainer = trainer_of(language_model(), tokens(), pathlib.Path("."), kind=TwoTerms)
            trainer.args.logging_strategy = "no"
            trainer.train()
            print(float(sum(p.double().sum() for p in trainer.model.parameters())))
            """
        )
    )
    here = str(Path(__file__).parent)
    plain, watched = (
        subprocess.run(
            [sys.executable, *words, "train.py", here],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        for words in ([], ["-m", "unstuck", "run", "--out", "run"])
    )
    assert watched.returncode == plain.returncode == 0, watched.stderr
    last = plain.stdout.splitlines()[-1]
    assert watched.stdout.splitlines()[-1] == last
    run = unstuck.load(tmp_path / "run")
    wanted = {"loss/loss", "term/loss/fit", "lr/optimizer", "orphaned/model"}
    assert wanted <= run.series.keys()
