"""Live changes of losses do to an unchanged script what the same change written into it does."""

import subprocess
import sys

import pytest
import torch
from changed_training import CLOSE, changed
from torch.nn import functional as F
from torch.nn.functional import cross_entropy

import unstuck
from unstuck.changes import fact_of

SCRIPT = """
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(3)
x = torch.randn(64, 6)
y = torch.randint(0, 4, (64,))
values = x.sum(1).sin()
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
criterion = nn.CrossEntropyLoss()
losses = []
for step in range(20):
    i = torch.randint(0, 64, (16,))
    {loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
"""
CROSS_ENTROPY = "loss = F.cross_entropy(model(x[i]), y[i])"


def script(loss, **more):
    text = SCRIPT.replace("{loss}", loss.replace("\n", "\n    "))
    for old, new in more.values():
        text = text.replace(old, new)
    return text


def equal(folder, text, edits, changes, *, bitwise=True, **options):
    """What was recorded of the watched run, once its losses are those of the edited script."""
    done = changed(folder, text, edits, changes, **options)
    assert done.acted(*changes)
    assert done.moved > 100 * CLOSE, "the change changes nothing"
    assert done.apart == 0 if bitwise else done.apart < CLOSE
    return done


SMOOTHED = {
    "function": (CROSS_ENTROPY, [("y[i])", "y[i], label_smoothing=0.1)")]),
    "module": (
        "loss = criterion(model(x[i]), y[i])",
        [("CrossEntropyLoss()", "CrossEntropyLoss(label_smoothing=0.1)")],
    ),
    "one of two terms": (
        'fit = F.cross_entropy(model(x[i]), y[i], reduction="sum")\n'
        "loss = 0.1 * fit + 0.01 * model(x[i]).square().mean()",
        [('"sum")', '"sum", label_smoothing=0.1)')],
    ),
    "targets that are probabilities": (
        "loss = F.cross_entropy(model(x[i]), F.one_hot(y[i], 4) * 0.7 + 0.075)",
        [("+ 0.075)", "+ 0.075, label_smoothing=0.1)")],
    ),
    "some of its own": (
        'loss = F.cross_entropy(model(x[i]), y[i], None, None, -100, None, "mean", 0.5)',
        [("0.5)", "0.1)")],
    ),
}


@pytest.mark.parametrize("case", SMOOTHED)
def test_label_smoothing(case, tmp_path):
    loss, edits = SMOOTHED[case]
    equal(tmp_path, script(loss), edits, {"label_smoothing/cross_entropy": 0.1})


def test_label_smoothing_of_a_function_imported_by_its_name_in_a_child(tmp_path):
    text = "from torch.nn.functional import cross_entropy\n" + script(
        "loss = cross_entropy(model(x[i]), y[i])"
    )
    edits = [("y[i])", "y[i], label_smoothing=0.2)")]
    equal(tmp_path, text, edits, {"label_smoothing/cross_entropy": 0.2}, child=True)


def test_a_function_imported_by_its_name_before_the_watching_began(tmp_path):
    changes = {"label_smoothing/cross_entropy": 0.5}
    scores, labels = torch.randn(8, 4).requires_grad_(), torch.arange(8) % 4
    plain, kept = F.cross_entropy(scores, labels).item(), F.cross_entropy
    with unstuck.watch(out=tmp_path / "run", changes=changes) as run:
        assert kept(scores, labels).item() == plain  # in a variable: out of reach,
    assert fact_of(*changes) not in unstuck.load(run.path).facts  # and that is known
    with unstuck.watch(out=tmp_path / "again", changes=changes) as run:
        assert cross_entropy(scores, labels).item() != plain
    assert unstuck.load(run.path).facts[fact_of(*changes)] == 1
    assert cross_entropy is kept


def test_the_loss_as_the_script_wrote_it_is_recorded_beside_the_smoothed_one(tmp_path):
    text = script(
        "fit = F.cross_entropy(model(x[i]), y[i])\nloss = 3 * fit + 0.1 * model[0].weight.norm()"
    )
    own = "\n    own.append((3 * F.cross_entropy(out, y[i]) + 0.1 * model[0].weight.norm()).item())"
    edits = [
        ("losses = []", "losses, own = [], []"),
        ("fit = F.cross_entropy(model(x[i]), y[i])",
         "out = model(x[i]); fit = F.cross_entropy(out, y[i], label_smoothing=0.3)"),
        ("[0].weight.norm()", "[0].weight.norm()" + own),
    ]  # fmt: skip
    text, keep = text + "\nwritten = losses", [("written = losses", "losses = own")]
    done = changed(tmp_path, text, edits + keep, {"label_smoothing/cross_entropy": 0.3})
    recorded = done.run.series["objective/loss"]
    assert list(recorded.step) == list(range(20))
    assert recorded.value == pytest.approx(done.written, rel=1e-6)
    assert done.run.series["loss/loss"].value == pytest.approx(done.watched, rel=1e-6)
    assert max(abs(recorded.value - done.run.series["loss/loss"].value)) > 0.1


def test_evaluation_is_left_alone_and_nothing_stays_altered(tmp_path):
    own = F.cross_entropy, torch.softmax, torch.Tensor.softmax
    scores, labels = torch.randn(8, 4).requires_grad_(), torch.arange(8) % 4
    plain = F.cross_entropy(scores, labels).item()
    changes = {"label_smoothing/cross_entropy": 0.5, "scores/cross_entropy": "raw",
               "targets/elementwise": "shaped", "precision/loss": "float32"}  # fmt: skip
    with unstuck.watch(out=tmp_path / "run", changes=changes):
        with torch.no_grad():
            assert F.cross_entropy(scores, labels).item() == plain
        assert F.cross_entropy(scores, labels).item() != plain
    assert (F.cross_entropy, torch.softmax, torch.Tensor.softmax) == own
    assert "softmax" not in vars(torch.Tensor)
    assert F.cross_entropy(scores, labels).item() == plain


NOTHING = ("", "")
RAW = {
    "softmax module": (
        "loss = criterion(model(x[i]), y[i])",
        ("nn.Linear(16, 4))", "nn.Linear(16, 4), nn.Softmax(1))"),
    ),
    "softmax of a tensor": (
        "loss = criterion(model(x[i]).softmax(-1), y[i])",
        NOTHING,
    ),
    "sigmoid": (
        "loss = F.binary_cross_entropy_with_logits(torch.sigmoid(model(x[i])), "
        "F.one_hot(y[i], 4).float())",
        NOTHING,
    ),
    "scores to nll": ("loss = F.nll_loss(model(x[i]), y[i])", NOTHING),
    "probabilities to nll": ("loss = F.nll_loss(F.softmax(model(x[i]), 1), y[i])", NOTHING),
    "probabilities to divergence": (
        "loss = F.kl_div(torch.softmax(model(x[i]), dim=1), F.one_hot(y[i], 4) * 0.8 + 0.05, "
        'reduction="batchmean")',
        NOTHING,
    ),
}
WRITTEN_RAW = {
    "softmax module": [("nn.Linear(16, 4), nn.Softmax(1))", "nn.Linear(16, 4))")],
    "softmax of a tensor": [(".softmax(-1)", "")],
    "sigmoid": [("torch.sigmoid(model(x[i]))", "model(x[i])")],
    "scores to nll": [("nll_loss(model(x[i])", "nll_loss(F.log_softmax(model(x[i]), 1)")],
    "probabilities to nll": [("F.softmax(model(x[i]), 1)", "F.log_softmax(model(x[i]), 1)")],
    "probabilities to divergence": [("torch.softmax", "torch.log_softmax")],
}


@pytest.mark.parametrize("case", RAW)
def test_raw_scores_where_the_activation_was_seen(case, tmp_path):
    loss, more = RAW[case]
    text = script(loss, more=more)
    done = equal(tmp_path, text, WRITTEN_RAW[case], {"scores/cross_entropy": "raw"})
    assert done.run.series["objective/loss"].value[0] == pytest.approx(done.plain[0], abs=1e-6)


UNDONE = {
    "rearranged softmax": (
        "loss = criterion(model(x[i]).softmax(1).view(4, 4, 4).flatten(0, 1), y[i])",
        [(".softmax(1).view(4, 4, 4).flatten(0, 1)", "")],
    ),
    "softmax by hand": (
        "e = model(x[i]).exp()\nloss = criterion(e / e.sum(1, keepdim=True), y[i])",
        [("e / e.sum(1, keepdim=True)", "e.log()")],
    ),
    "rearranged sigmoid": (
        "loss = F.binary_cross_entropy_with_logits(model(x[i]).sigmoid().flatten(), "
        "F.one_hot(y[i], 4).float().flatten())",
        [(".sigmoid()", "")],
    ),
}


@pytest.mark.parametrize("case", UNDONE)
def test_raw_scores_where_only_the_output_tells(case, tmp_path):
    """By plain descent: Adam's first step makes a whole one of every rounding of a zero."""
    loss, edits = UNDONE[case]
    text = script(loss, descent=("Adam(model.parameters(), lr=0.02)", "SGD(model.parameters(), 1)"))
    equal(tmp_path, text, edits, {"scores/cross_entropy": "raw"}, bitwise=False)


@pytest.mark.parametrize(
    "loss",
    [
        CROSS_ENTROPY,
        "loss = F.cross_entropy(F.log_softmax(model(x[i]), 1), y[i])",
        "loss = F.nll_loss(F.log_softmax(model(x[i]), 1), y[i])",
        "loss = F.nll_loss((F.softmax(model(x[i]), 1) + 1e-7).log(), y[i])",
        "loss = F.mse_loss(F.softmax(model(x[i]), 1), F.one_hot(y[i], 4).float())",
        "loss = F.binary_cross_entropy(model(x[i]).sigmoid(), F.one_hot(y[i], 4).float())",
    ],
)
def test_scores_and_log_probabilities_are_left_as_they_are(loss, tmp_path):
    changes = {"scores/cross_entropy": "raw"}
    done = changed(tmp_path, script(loss), [("losses = []", "losses = list()")], changes)
    assert done.apart == 0
    assert not done.acted(*changes)


SHAPED = {
    "squared": ("F.mse_loss(model(x[i])[:, :1], values[i])", ("values[i]", "values[i][:, None]")),
    "row against column": (
        "F.l1_loss(model(x[i])[:, 0], values[i][:, None])",
        ("values[i][:, None]", "values[i]"),
    ),
    "the other way round": (
        "F.smooth_l1_loss(values[i], model(x[i])[:, :1])",
        ("values[i],", "values[i][:, None],"),
    ),
    "module": (
        "nn.HuberLoss()(model(x[i])[:, :1], values[i])",
        ("values[i]", "values[i][:, None]"),
    ),
}


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("case", SHAPED)
def test_targets_in_the_shape_of_the_prediction(case, tmp_path):
    call, edit = SHAPED[case]
    changes, child = {"targets/elementwise": "shaped"}, case == "module"
    done = equal(tmp_path, script(f"loss = {call}"), [edit], changes, child=child)
    assert "objective/loss" not in done.run.series
    broadcast = [s for n, s in done.run.series.items() if n.startswith("broadcast/")]
    assert broadcast and all(s.value.max() == 1 for s in broadcast), "heard as it was altered"


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_targets_that_are_meant_to_be_broadcast_are_left_alone(tmp_path):
    changes = {"targets/elementwise": "shaped"}
    text = script("loss = F.mse_loss(model(x[i])[:, :1], torch.ones(1, 1))")
    done = changed(tmp_path, text, [("losses = []", "losses = list()")], changes)
    assert done.apart == 0
    assert not done.acted(*changes)


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
def test_losses_in_float32(half, tmp_path):
    text = script(
        f"loss = F.l1_loss(model(x[i])[:, 0].to(torch.{half}), values[i].to(torch.{half}))"
    )
    edits = [(f"[:, 0].to(torch.{half})", f"[:, 0].to(torch.{half}).float()"),
             (f"values[i].to(torch.{half})", f"values[i].to(torch.{half}).float()")]  # fmt: skip
    equal(tmp_path, text, edits, {"precision/loss": "float32"})


def test_inside_autocast_losses_are_in_float32_already(tmp_path):
    text = script(
        'with torch.autocast("cpu", torch.bfloat16):\n'
        "    loss = F.l1_loss(model(x[i])[:, 0], values[i])"
    )
    changes = {"precision/loss": "float32"}
    done = changed(tmp_path, text, [("[:, 0], v", "[:, 0].float(), v")], changes)
    assert done.moved == done.apart == 0
    assert not done.acted(*changes)


def test_all_changes_of_one_function_together(tmp_path):
    text = script("p = model(x[i]).to(torch.bfloat16).softmax(1)\nloss = criterion(p, y[i])")
    edits = [(".softmax(1)", ".float()"), ("Loss()", "Loss(label_smoothing=0.1)")]
    changes = {"label_smoothing/cross_entropy": 0.1, "scores/cross_entropy": "raw",
               "precision/loss": "float32"}  # fmt: skip
    done = equal(tmp_path, text, edits, changes, child=True)
    assert done.run.series["objective/loss"].value[0] == pytest.approx(done.plain[0], rel=1e-3)


def test_unstuck_run_carries_them_out_and_says_what_met_nothing(tmp_path):
    file = tmp_path / "train.py"
    file.write_text(script(CROSS_ENTROPY) + "\nprint(losses[-1])\n")
    written = file.with_name("written.py")
    written.write_text(file.read_text().replace("y[i])", "y[i], label_smoothing=0.1)"))
    words = [
        "-m",
        "unstuck",
        "run",
        "--out",
        "run",
        "--change",
        "label_smoothing/cross_entropy=0.1",
    ]
    words += ["--change", "weight/loss/adv=2", "train.py"]
    done, alone = (
        subprocess.run([sys.executable, *w], cwd=tmp_path, capture_output=True, text=True)
        for w in (words, ["written.py"])
    )
    assert done.returncode == alone.returncode == 0, done.stderr
    assert done.stdout == alone.stdout
    assert "unstuck: not carried out: no weight/loss/adv in the run" in done.stderr
