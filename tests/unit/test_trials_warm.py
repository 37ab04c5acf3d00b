"""Runs that are forked from a process with torch loaded: the same runs, started sooner."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import unstuck
from unstuck.trials.libraries import slow_libraries
from unstuck.trials.subject import Subject
from unstuck.trials.warm import Forked, Process, Warm, words_of_python
from unstuck.watcher import launch

TRAIN = """
import os, sys
assert "torch" not in sys.modules
from torch.nn import Linear, Sequential, Tanh
import torch
import numpy as np
torch.manual_seed(3)
model = Sequential(Linear(8, 32), Tanh(), Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(30):
    x = torch.randn(16, 8)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
for p in model.parameters():
    print(p.detach().numpy().tobytes().hex())
print(hash("words"), torch.get_num_threads(), sys.argv, sys.path[0], __name__, __file__)
print(sorted(os.environ), os.getcwd(), sys.flags)
print(sys.orig_argv[1:], sys.stdin.read(), sorted(vars()), file=sys.stderr)
print(getattr(__spec__, 'name', None), file=sys.stderr)
"""
WORDS = "import sys, os, signal, time, torch\nexec(sys.argv[1])\n"


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as it:
        yield it


def environment(**more: str) -> dict[str, str]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    kept = {n: v for n, v in os.environ.items() if not n.startswith("UNSTUCK_")}
    return kept | threads | {"PYTHONHASHSEED": "0"} | more


def started(
    it: Warm, folder: Path, *words: str, env: dict[str, str] | None = None, cold: bool = False
) -> Process:
    folder.mkdir(exist_ok=True)
    env = env or environment()
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        command = [sys.executable, *words]
        forked = None if cold else it.start(command, env, folder.parent, out, err)
        options = {"start_new_session": True, "stdin": subprocess.DEVNULL, "cwd": folder.parent}
        return forked or subprocess.Popen(command, stdout=out, stderr=err, env=env, **options)


def is_forked(process: Process) -> bool:
    return isinstance(process, Forked)


def said(folder: Path) -> tuple[str, str]:
    return (folder / "stdout").read_text(), (folder / "stderr").read_text()


def test_a_forked_run_is_the_same_as_a_cold_one(warm: Warm, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(TRAIN)
    (tmp_path / "linked.py").symlink_to(file)
    for number, words in enumerate((["train.py", "--lr", "1"], ["linked.py"], ["-m", "train"])):
        runs = []
        for cold in (True, False, False):
            folder = tmp_path / f"{number}-{len(runs)}"
            process = started(warm, folder, *words, cold=cold)
            assert is_forked(process) is not cold
            assert process.wait(60) == 0, said(folder)
            runs.append(said(folder))
        assert runs[0] == runs[1] == runs[2]


def test_a_watched_run_is_recorded_as_a_cold_one_is(warm: Warm, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(TRAIN)
    runs = []
    for cold in (True, False, False):
        folder = tmp_path / f"run-{len(runs)}"
        changes = {"lr/optimizer": "x0.5"}
        env = environment() | launch.environment(folder, changes, "name", recipe={"a": 1}, seed=2)
        assert started(warm, tmp_path / "out", "train.py", env=env, cold=cold).wait(60) == 0
        run = unstuck.load(folder)
        assert isinstance(run, unstuck.Run)
        runs.append((said(tmp_path / "out"), run))
    for (cold_said, cold_run), (warm_said, warm_run) in ((runs[0], runs[1]), (runs[0], runs[2])):
        assert cold_said[0].splitlines()[:6] == warm_said[0].splitlines()[:6]
        assert cold_run.recipe == warm_run.recipe
        kept = [n for n in cold_run.series if not n.startswith(("seconds/", "bytes/", "wait/"))]
        assert [cold_run.series[n] for n in kept] == [warm_run.series[n] for n in kept]
        assert warm_run.facts["changed/lr/optimizer"] == 1
        assert set(cold_run.facts) == set(warm_run.facts)


def test_ways_to_end(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "end.py").write_text(WORDS)
    late = "threading.Thread(target=lambda: (time.sleep(0.2), print('late')))"
    ways = {
        "sys.exit(3)": (3, "", ""),
        "os._exit(4)": (4, "", ""),
        "os.kill(os.getpid(), signal.SIGKILL)": (-9, "", ""),
        "os.kill(os.getpid(), signal.SIGTERM)": (-15, "", ""),
        "import atexit; atexit.register(print, 'end'); print('begin')": (0, "begin\nend\n", ""),
        "sys.exit('words')": (1, "", "words"),
        "raise ValueError('no')": (1, "", "ValueError: no"),
        "raise KeyboardInterrupt": (-2, "", "KeyboardInterrupt"),
        f"import threading; {late}.start()": (0, "late\n", ""),
    }
    runs = [started(warm, tmp_path / str(n), "end.py", code) for n, code in enumerate(ways)]
    for n, (run, (status, out, last)) in enumerate(zip(runs, ways.values(), strict=True)):
        assert is_forked(run)
        assert run.wait(60) == run.poll() == run.returncode == status
        printed, told = said(tmp_path / str(n))
        assert (printed, told.splitlines()[-1:]) == (out, [last] if last else [])
    colds = [started(warm, tmp_path / "cold", "end.py", c, cold=True) for c in list(ways)[-2:]]
    assert [cold.wait(60) for cold in colds] == [-2, 0]


def test_a_run_is_a_session_of_its_own_and_hears_signals(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "wait.py").write_text(WORDS)
    code = "os.system('sleep 60 & echo $!'); print(os.getsid(0), os.getpid(), flush=True); "
    process = started(warm, tmp_path / "run", "wait.py", code + "time.sleep(60)")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    while len(said(tmp_path / "run")[0].splitlines()) < 2:
        time.sleep(0.01)
    sleeper, ids = said(tmp_path / "run")[0].splitlines()
    assert ids.split() == [str(process.pid)] * 2
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM
    while Path(f"/proc/{sleeper}").exists() and _state(sleeper) != "Z":
        time.sleep(0.01)


def _state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "Z"


def test_nothing_is_carried_from_run_to_run(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "leave.py").write_text(WORDS)
    first = (
        "import builtins; builtins.left = 1; os.environ['LEFT'] = '1'; sys.path.append('left'); "
        "torch.set_default_dtype(torch.float64); os.chdir('/'); torch.left = 1; "
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); torch.manual_seed(0)"
    )
    then = (
        "print(hasattr(__builtins__, 'left'), 'LEFT' in os.environ, 'left' in sys.path, "
        "torch.get_default_dtype(), os.getcwd(), hasattr(torch, 'left'), "
        "signal.getsignal(signal.SIGTERM)); "
        "import random, numpy; print(random.random(), numpy.random.rand(), float(torch.rand(1)))"
    )
    assert started(warm, tmp_path / "first", "leave.py", first).wait(60) == 0
    drawn = []
    for again in range(2):
        assert started(warm, tmp_path / f"{again}", "leave.py", then).wait(60) == 0
        state, numbers = said(tmp_path / f"{again}")[0].splitlines()
        assert state.startswith(f"False False False torch.float32 {tmp_path} False")
        drawn.append(numbers.split())
    assert all(a != b for a, b in zip(*drawn, strict=True))  # nobody seeded


def test_runs_side_by_side_are_told_apart(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "end.py").write_text(WORDS)
    runs = [
        started(warm, tmp_path / str(n), "end.py", f"time.sleep({0.3 - n / 10}); sys.exit({n})")
        for n in range(4)
    ]
    assert [run.wait(60) for run in runs] == [0, 1, 2, 3]


def test_a_dead_zygote_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "end.py").write_text(WORDS)
    with Warm() as it:
        run = started(it, tmp_path / "run", "end.py", "time.sleep(60)")
        forks = int(Path(f"/proc/{run.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(forks, signal.SIGKILL)
        assert run.wait(60) == -signal.SIGKILL  # its children end with it
        again = started(it, tmp_path / "again", "end.py", "sys.exit(5)")
        assert is_forked(again)
        assert again.wait(60) == 5
        left = started(it, tmp_path / "left", "end.py", "time.sleep(60)")
    assert left.wait(60) == -signal.SIGKILL


def test_runs_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    (tmp_path / "end.py").write_text(WORDS)
    driver = (
        "import os, sys, time; from pathlib import Path; from unstuck.trials.warm import Warm\n"
        "out = open(os.devnull, 'wb'); it = Warm()\n"
        "words = [sys.executable, 'end.py', 'time.sleep(60)']\n"
        "run = it.start(words, os.environ, Path(sys.argv[1]), out, out)\n"
        "print(run.pid, flush=True)\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", driver, str(tmp_path)], stdout=subprocess.PIPE, env=environment()
    )
    assert process.stdout is not None
    with process, process.stdout as output:
        pid = output.readline().decode().strip()
        assert _state(pid) in "SRD"
        process.kill()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and _state(pid) != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_started_cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").write_text("")
    env, python = environment(), sys.executable
    assert words_of_python([python, "train.py", "-x"], env, tmp_path) == ["train.py", "-x"]
    assert words_of_python([python, "-m", "a.b", "1"], env, tmp_path) == ["-m", "a.b", "1"]
    for words in (
        [python],
        [python, "-m"],
        [python, "missing.py"],
        [python, "-c", "pass"],
        [python, "-O", "train.py"],
        [python, "-m", "torch.distributed.run", "train.py"],
        ["bash", "train.py"],
        ["/no/python", "train.py"],
    ):
        assert words_of_python(words, env, tmp_path) is None
    assert words_of_python([python, "train.py"], env | {"UNSTUCK_COLD": "1"}, tmp_path) is None
    monkeypatch.setattr("unstuck.trials.warm.GPU", (str(tmp_path),))
    assert words_of_python([python, "train.py"], env, tmp_path) is None
    unseen = env | {"CUDA_VISIBLE_DEVICES": ""}
    assert words_of_python([python, "train.py"], unseen, tmp_path) is not None


def test_only_what_uses_torch_is_worth_a_process_that_has_loaded_it(tmp_path: Path) -> None:
    (tmp_path / "light.py").write_text("import math\n# import torch\n")
    (tmp_path / "model.py").write_text("from torch import nn\n")
    (tmp_path / "train.py").write_text("import model\nfrom sklearn.datasets import load_digits\n")

    def found(*words: str, watch: bool = False) -> tuple[str, ...] | None:
        return slow_libraries([sys.executable, *words], Subject(command="-", watch=watch))

    assert found(str(tmp_path / "light.py")) is None
    assert found(str(tmp_path / "light.py"), watch=True) == ()
    assert found(str(tmp_path / "model.py")) == ()
    assert found(str(tmp_path / "train.py")) == ("sklearn.datasets",)
    function = Subject(train=f"{tmp_path / 'light.py'}:train")
    assert slow_libraries([], function) is None
    assert slow_libraries([], Subject(train="unstuck.cases.contrast.train:train")) == ()
