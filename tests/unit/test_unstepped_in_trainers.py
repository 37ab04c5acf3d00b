"""Trainers step their schedules themselves; a loop of one's own with their parts may forget to."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, StepLR
from torch.utils.data import DataLoader, TensorDataset

import unstuck

accelerate = pytest.importorskip("accelerate")
transformers = pytest.importorskip("transformers")
pl = pytest.importorskip("lightning.pytorch")

pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:"),
    pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning"),
]
EPOCHS = 4


def rows():
    x = torch.randn(128, 10, generator=torch.Generator().manual_seed(1))
    return TensorDataset(x, x[:, :3].argmax(1))


def watched(training, tmp_path):
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        training()
    found = unstuck.load(run.path)
    assert not [name for name in found.facts if name.startswith("exit/")]
    unstepped = {n: v for n, v in found.facts_matching("unstepped/*").items() if n.count("/") == 1}
    assert unstepped
    return unstepped, [f for f in unstuck.diagnose(found).findings if f.code == "OPT016"]


@pytest.fixture
def no_state_is_left():
    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


class Classifier(pl.LightningModule):
    """With automatic optimization the trainer steps the schedule, else this module has to."""

    def __init__(self, interval, by_hand, steps_it):
        super().__init__()
        self.net, self.interval, self.steps_it = nn.Linear(10, 3), interval, steps_it
        self.automatic_optimization = not by_hand

    def training_step(self, batch, i):
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        if self.automatic_optimization:
            return loss
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        if self.steps_it:
            self.lr_schedulers().step()
        return None

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), 1e-2)
        schedule = CosineAnnealingLR(optimizer, EPOCHS * 8)
        kept = {"scheduler": schedule, "interval": self.interval}
        return {"optimizer": optimizer, "lr_scheduler": kept}


@pytest.mark.parametrize(
    ("interval", "by_hand", "steps_it", "count"),
    [
        ("step", False, False, 0),
        ("epoch", False, False, 0),
        ("step", True, True, 0),
        ("step", True, False, 1),
    ],
)
def test_lightning(interval, by_hand, steps_it, count, tmp_path):
    def training():
        torch.manual_seed(0)
        trainer = pl.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=EPOCHS,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        module = Classifier(interval, by_hand, steps_it)
        trainer.fit(module, DataLoader(rows(), 16, shuffle=True))

    unstepped, found = watched(training, tmp_path)
    assert len(found) == count
    assert [steps > 0 for steps in unstepped.values()] == [bool(count)]


@pytest.mark.parametrize("kind", ["linear", "constant_with_warmup", "constant"])
def test_transformers(kind, tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(10, 3)

        def forward(self, x, labels=None):
            logits = self.net(x)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    def training():
        torch.manual_seed(0)
        settings = transformers.TrainingArguments(
            output_dir=str(tmp_path / "trainer"), num_train_epochs=EPOCHS, warmup_steps=3,
            lr_scheduler_type=kind, save_strategy="no", report_to=[], use_cpu=True,
            disable_tqdm=True, dataloader_pin_memory=False,
        )  # fmt: skip
        data = [{"x": x, "labels": y} for x, y in rows()]
        transformers.Trainer(model=Net(), args=settings, train_dataset=data).train()

    unstepped, found = watched(training, tmp_path)
    assert not found and set(unstepped.values()) == {0}


@pytest.mark.parametrize("stepped", [True, False])
@pytest.mark.parametrize("made", ["before", "after"])
def test_accelerate(made, stepped, tmp_path, no_state_is_left):
    def training():
        torch.manual_seed(0)
        accelerator = accelerate.Accelerator(cpu=True)
        net = nn.Linear(10, 3)
        adam = torch.optim.AdamW(net.parameters(), 1e-2)
        loader = DataLoader(rows(), 16, shuffle=True)
        if made == "before":
            schedule = StepLR(adam, 2)
            net, adam, loader, schedule = accelerator.prepare(net, adam, loader, schedule)
        else:
            net, adam, loader = accelerator.prepare(net, adam, loader)
            schedule = StepLR(adam, 2)
        for _ in range(EPOCHS):
            for x, y in loader:
                loss = F.cross_entropy(net(x), y)
                adam.zero_grad()
                accelerator.backward(loss)
                adam.step()
            if stepped:
                schedule.step()

    _, found = watched(training, tmp_path)
    assert len(found) == (0 if stepped else 1)


@pytest.mark.parametrize("stepped", [True, False])
def test_a_warm_up_of_transformers_in_a_loop_of_ones_own(stepped, tmp_path):
    def training():
        torch.manual_seed(0)
        net, loader = nn.Linear(10, 3), DataLoader(rows(), 16, shuffle=True)
        adam = torch.optim.AdamW(net.parameters(), 1e-2)
        schedule = transformers.get_linear_schedule_with_warmup(adam, 10, EPOCHS * len(loader))
        for _ in range(EPOCHS):
            for x, y in loader:
                loss = F.cross_entropy(net(x), y)
                adam.zero_grad()
                loss.backward()
                adam.step()
                if stepped:
                    schedule.step()

    _, found = watched(training, tmp_path)
    assert [f.severity for f in found] == ([] if stepped else ["error"])
