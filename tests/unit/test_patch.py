"""A suggested patch changes the responsible line and nothing else, or says why there is none."""

import shutil
import stat
import subprocess

import pytest

from unstuck.patching.patch import apply, suggested
from unstuck.records import Run, Treatment

LOOP = """import torch

model = torch.nn.Linear(3, 1)
opt = torch.optim.AdamW(model.parameters(), lr=1e-3)  # a rate
for x, y in data:
    loss = (model(x) - y).square().mean()
    loss.backward()
    opt.step()
    opt.zero_grad()
"""
RUN = Run.of(lr__opt=[1e-3, 1e-3])


def patched(tmp_path, text, changes, run=RUN):
    """Write, patch and return the patch; text is what stands in the file, as bytes or text."""
    script = tmp_path / "train.py"
    script.write_bytes(text if isinstance(text, bytes) else text.encode())
    return suggested(script, Treatment("t", "r", changes, ""), run)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def changed_lines(patch):
    lines = patch.diff.splitlines()[3:]
    return [line for line in lines if line[0] in "+-"]


def test_only_the_responsible_line_changes(tmp_path):
    patch = patched(tmp_path, LOOP, {"lr/opt": "x0.1"})
    assert changed_lines(patch) == [
        "-opt = torch.optim.AdamW(model.parameters(), lr=1e-3)  # a rate",
        "+opt = torch.optim.AdamW(model.parameters(), lr=0.0001)  # a rate",
    ]


@pytest.mark.parametrize(
    "given, expected",
    [
        ("lr=args.lr", "lr=0.1 * args.lr"),
        ("lr=a + b", "lr=0.1 * (a + b)"),
        ("lr=LR", "lr=0.1 * LR"),
        ("lr=(1e-3)", "lr=(0.0001)"),
        ("", "lr=0.0001"),
    ],
)
def test_rates_that_are_not_written_as_numbers(tmp_path, given, expected):
    arguments = f"model.parameters(), {given}" if given else "model.parameters()"
    text = LOOP.replace("model.parameters(), lr=1e-3", arguments)
    patch = patched(tmp_path, text, {"lr/opt": "x0.1"})
    assert expected in patch.after.decode(), patch.note


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("tabs", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_line_ends_tabs_and_the_last_line_stay(tmp_path, end, tabs, last):
    text = LOOP.replace("    ", "\t") if tabs else LOOP
    text = text.replace("    opt.zero_grad()\n", "").replace("\topt.zero_grad()\n", "")
    data = text.encode().replace(b"\n", end)
    data = data if last else data.removesuffix(end)
    patch = patched(tmp_path, data, {"zero_grad/opt": "after-step", "clip/opt": 1.0})
    indent = b"\t" if tabs else b"    "
    step = indent + b"opt.step()"
    clip = (
        indent + b"torch.nn.utils.clip_grad_norm_([p for group in opt.param_groups "
        b'for p in group["params"]], 1.0)' + end
    )
    cleared = step + end + indent + b"opt.zero_grad()" + (end if last else b"")
    assert patch.after == data.removesuffix(step + (end if last else b"")) + clip + cleared


@pytest.mark.parametrize("coding, mark", [("latin-1", b""), ("utf-8", b"\xef\xbb\xbf")])
def test_the_encoding_stays(tmp_path, coding, mark):
    text = f"# -*- coding: {coding} -*-\nname = 'Größe'; 'ß' * 3\n{LOOP}"
    data = mark + text.encode(coding)
    patch = patched(tmp_path, data, {"lr/opt": "x10"})
    assert patch.after == data.replace(b"lr=1e-3", b"lr=0.01")


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [False, True])
def test_git_takes_the_diff(tmp_path, end, last):
    text = LOOP.replace("    opt.zero_grad()\n", "").replace("\n", end)
    data = text if last else text.removesuffix(end)
    patch = patched(tmp_path, data, {"zero_grad/opt": "after-step", "lr/opt": "x10"})
    (tmp_path / "fix.patch").write_bytes(patch.diff.encode())
    command = ["git", "apply", "--unsafe-paths", "fix.patch"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "train.py").read_bytes() == patch.after


REFUSED = {
    "no such optimizer": (LOOP.replace("opt =", "a, b ="), {"lr/opt": "x0.1"}, "0 lines"),
    "two of them": (
        LOOP.replace("for x", "opt = torch.optim.SGD(model.parameters(), lr=1)\nfor x"),
        {"lr/opt": "x0.1"},
        "2 lines of the script build opt",
    ),
    "a rate set by hand": (
        LOOP + "    opt.param_groups[0]['lr'] = 0.1\n",
        {"lr/opt": "x0.1"},
        "sets the learning rate itself",
    ),
    "a fixed rate and a schedule": (
        LOOP.replace("for x", "s = torch.optim.lr_scheduler.StepLR(opt, 3)\nfor x"),
        {"lr/opt": 0.1},
        "a schedule",
    ),
    "a schedule with a rate of its own": (
        LOOP.replace(
            "for x", "s = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 9, 1e-5)\nfor x"
        ),
        {"lr/opt": "x0.1"},
        "sets the learning rate itself",
    ),
    "a loss that validation uses, too": (
        "loss_of = nn.CrossEntropyLoss()\nloss_of(a, b).backward()\nprint(loss_of(c, d))\n",
        {"label_smoothing/cross_entropy": 0.1},
        "in 2 places",
    ),
    "groups with rates": (
        LOOP.replace("model.parameters(), lr=1e-3", "[{'params': p, 'lr': 0.1}]"),
        {"lr/opt": "x0.1"},
        "of their own",
    ),
    "keywords from elsewhere": (
        LOOP.replace("lr=1e-3", "**options"),
        {"lr/opt": "x0.1"},
        "read elsewhere",
    ),
    "a scaler": (LOOP.replace("opt.step()", "scaler.step(opt)"), {"clip/opt": 1.0}, "scaler"),
    "a closure": (LOOP.replace("opt.step()", "opt.step(f)"), {"clip/opt": 1.0}, "closure"),
    "no step": (LOOP.replace("opt.step()", "pass"), {"clip/opt": 1.0}, "no line"),
    "two statements in a line": (
        LOOP.replace("opt.step()", "opt.step(); n = 1"),
        {"clip/opt": 1.0},
        "more than one statement",
    ),
    "all gradients cleared": (
        LOOP.replace("opt.zero_grad()", "model.zero_grad()"),
        {"zero_grad/opt": "after-step"},
        "several optimizers",
    ),
    "no import": (LOOP.replace("import torch\n", ""), {"clip/opt": 1.0}, "import torch"),
    "no line of a script": (LOOP, {"mode/model": "by-gradient"}, "not one line"),
    "a term that is not there": (LOOP, {"weight/loss/l1": "x0.1"}, "0 places"),
    "a term inside of a call": (
        LOOP.replace("(model(x) - y).square().mean()", "a + f(l1)"),
        {"weight/loss/l1": "x0.1"},
        "0 places",
    ),
    "no python": ("def (", {"lr/opt": "x0.1"}, "no Python"),
    "too large": (b"#" * 2_000_001, {"lr/opt": "x0.1"}, "too large"),
    "passes that vary": (LOOP, {"accumulation/opt": "mean"}, "not always the same"),
    "one of two changes": (LOOP, {"lr/opt": "x0.1", "r1/model": 1.0}, "not one line"),
    "no such flag": (LOOP, {"batch_size": 8}, "no line of the script gives batch_size"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_no_patch_without_one_responsible_line(tmp_path, why):
    text, changes, note = REFUSED[why]
    patch = patched(tmp_path, text, changes)
    assert not patch.diff and note in patch.note and "\n" not in patch.note
    with pytest.raises(ValueError, match="there is no patch"):
        apply(patch)
    assert not list(tmp_path.glob("*.orig"))


def test_the_default_of_a_flag(tmp_path):
    text = "p.add_argument('--batch-size', '-b', default=16, type=int)\n"
    patch = patched(tmp_path, text, {"batch_size": 64})
    assert patch.after == text.replace("16", "64").encode()


def test_what_the_command_line_gives_is_changed_there(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("p.add_argument('--batch-size', default=16, type=int)\n")
    treatment = Treatment("t", "r", {"batch_size": 64}, "")
    patch = suggested(script, treatment, RUN, given={"batch_size", "lr"})
    assert (
        not patch.diff and patch.note == "batch_size is given on the command line: change it there"
    )


def test_a_criterion_that_is_only_trained_with_is_smoothed(tmp_path):
    text = (
        "loss_of = nn.CrossEntropyLoss(weight=w)\nloss_of(a, b).backward()\n"
        "with torch.no_grad():\n    F.cross_entropy(c, d)\n"
    )
    patch = patched(tmp_path, text, {"label_smoothing/cross_entropy": 0.1})
    assert changed_lines(patch) == [
        "-loss_of = nn.CrossEntropyLoss(weight=w)",
        "+loss_of = nn.CrossEntropyLoss(weight=w, label_smoothing=0.1)",
    ]


def test_names_that_are_taken_are_not_used_again(tmp_path):
    text = LOOP.replace("for x", "warmup = 3\nfor x")
    patch = patched(tmp_path, text, {"warmup/opt": 5})
    assert "+    warmup2.step()" in changed_lines(patch)


def test_a_layer_of_softmax_leaves_its_sequential(tmp_path):
    text = "m = Sequential(\n    Linear(3, 2),\n    nn.Softmax(dim=1),\n)\n"
    patch = patched(tmp_path, text, {"scores/cross_entropy": "raw"})
    assert patch.after == b"m = Sequential(\n    Linear(3, 2),\n)\n"


def test_the_last_statement_of_a_block_becomes_pass(tmp_path):
    text = LOOP.replace("    opt.step()", "    if x:\n        opt.zero_grad()\n    opt.step()")
    patch = patched(tmp_path, text, {"zero_grad/opt": "after-step"})
    assert changed_lines(patch) == ["-        opt.zero_grad()", "+        pass"]


def test_a_frozen_model(tmp_path):
    patch = patched(tmp_path, LOOP, {"freeze/model": "on"})
    assert changed_lines(patch) == ["+model.requires_grad_(False)"]


def test_applying_keeps_the_old_script_and_its_mode(tmp_path):
    patch = patched(tmp_path, LOOP, {"lr/opt": "x0.1"})
    patch.script.chmod(0o750)
    (tmp_path / "train.py.orig").write_text("mine")
    kept = apply(patch)
    assert kept.name == "train.py.orig.2" and kept.read_text() == LOOP
    assert (tmp_path / "train.py.orig").read_text() == "mine"
    assert patch.script.read_bytes() == patch.after
    assert stat.S_IMODE(patch.script.stat().st_mode) == 0o750
    assert names(tmp_path) == ["train.py", "train.py.orig", "train.py.orig.2"]


def test_a_script_that_changed_since_is_left_alone(tmp_path):
    patch = patched(tmp_path, LOOP, {"lr/opt": "x0.1"})
    patch.script.write_text("other")
    with pytest.raises(ValueError, match="changed since"):
        apply(patch)
    assert names(tmp_path) == ["train.py"] and patch.script.read_text() == "other"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "deep").mkdir()
    real = tmp_path / "deep" / "real.py"
    real.write_text(LOOP)
    link = tmp_path / "train.py"
    link.symlink_to(real)
    patch = suggested(link, Treatment("t", "r", {"lr/opt": "x0.1"}, ""), RUN)
    apply(patch)
    assert link.is_symlink() and real.read_bytes() == patch.after
