"""Lines that tell the watched run of codes, pairs, pools, targets and samples, and can stay."""

import os
import subprocess
import sys
import threading

import pytest
import torch
from torch import nn

import unstuck

SCRIPT = """
import torch
from torch import nn
import unstuck

torch.manual_seed(0)
image, text = nn.Linear(12, 8), nn.Linear(6, 8)
optimizer = torch.optim.Adam([*image.parameters(), *text.parameters()], lr=1e-2)
for _ in range(20):
    x = torch.randn(20, 12)
    a, b = torch.tanh(image(x)), torch.tanh(text(x[:, :6]))
    asked = torch.cosine_similarity(x[:, None], x[None], dim=2)
    errors = (a @ b.T / 8 - asked).square()
    TELLING.embedding("codes", a)
    TELLING.pair("image", a, "text", b)
    TELLING.targets(asked)
    TELLING.pool(errors.mean(1))
    TELLING.generated(b, name="words")
    optimizer.zero_grad()
    errors.mean().backward()
    optimizer.step()
print(sum(float(p.sum()) for m in (image, text) for p in m.parameters()))
"""
BY_LINE = SCRIPT.replace("TELLING", "unstuck")
SEEDED = "torch.manual_seed(0)\n"
WATCH = SEEDED + "run = unstuck.watch(out='run', budget=None)\n"
FAMILIES = ("codes/", "latent/codes/", "pair/", "target_similarity/", "pool/", "generated/")


def python(text, cwd, *words):
    (cwd / "train.py").write_text(text)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "UNSTUCK_RUNS": str(cwd / "runs")}
    done = subprocess.run(
        [sys.executable, *words, "train.py"],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def told_in(run):
    """What came of being told, apart from what is read without it."""
    return {
        name: (series.step.tolist(), series.value.tolist())
        for name, series in run.series.items()
        if name.startswith(FAMILIES)
    }


@pytest.fixture(scope="module")
def by_method(tmp_path_factory):
    """What the methods of the run record in the same training."""
    folder = tmp_path_factory.mktemp("method")
    text = WATCH.join(SCRIPT.replace("TELLING", "run").split(SEEDED))
    python(text + "run.close()\n", folder)
    return told_in(unstuck.load(folder / "run"))


def test_there_is_a_series_of_every_kind(by_method):
    for family in FAMILIES:
        assert any(name.startswith(family) for name in by_method), (family, list(by_method))


def test_a_line_tells_what_the_method_tells(by_method, tmp_path):
    python(WATCH.join(BY_LINE.split(SEEDED)) + "run.close()\n", tmp_path)
    assert told_in(unstuck.load(tmp_path / "run")) == by_method


def test_under_unstuck_run_the_same_lines_are_heard(by_method, tmp_path):
    python(BY_LINE, tmp_path, "-m", "unstuck", "run")
    (folder,) = (tmp_path / "runs").iterdir()
    found = told_in(unstuck.load(folder))
    assert set(found) == set(by_method)
    for name, (steps, values) in by_method.items():
        assert dict(zip(*found[name], strict=True))[steps[0]] == values[0], name


def test_unwatched_nothing_is_written_and_the_training_is_the_same(tmp_path):
    printed = python(BY_LINE, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]
    silent = "\n".join(line for line in BY_LINE.splitlines() if "unstuck." not in line)
    assert python(silent, tmp_path) == printed


def test_unwatched_neither_torch_nor_the_watcher_is_loaded():
    code = (
        "import sys, unstuck; unstuck.embedding('codes', None); unstuck.pool(None); "
        "unstuck.pair('a', None, 'b', None); unstuck.targets(None); unstuck.generated(None); "
        "sys.exit('torch' in sys.modules or 'unstuck.watcher.session' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def train(steps=6):
    model = nn.Linear(6, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        codes = torch.tanh(model(torch.randn(10, 6)))
        yield codes
        optimizer.zero_grad()
        codes.square().mean().backward()
        optimizer.step()


def test_after_the_run_and_from_another_thread_nobody_hears(tmp_path):
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for codes in train():
            other = threading.Thread(target=unstuck.embedding, args=("codes", codes.detach()))
            other.start()
            other.join()
    for codes in train():
        unstuck.embedding("codes", codes)
    assert not any(name.startswith("codes/") for name in unstuck.load(run.path).series)


def test_what_is_no_tensor_of_rows_is_left_out_and_training_goes_on(tmp_path):
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for _ in train():
            unstuck.embedding("codes", torch.tensor(3.0))
            unstuck.pair("a", torch.zeros(4, 3), "b", torch.zeros(5, 4))
            unstuck.pool(torch.zeros(0))
    found = unstuck.load(run.path)
    assert found.last_step == 5
    assert not any(name.startswith(("codes/", "pair/")) for name in found.series)
