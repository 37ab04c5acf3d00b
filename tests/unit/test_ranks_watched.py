"""Processes that train together under torchrun and spawn: watched, unchanged, and read as one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import unstuck

TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port")
SCRIPT = Path(__file__).with_name("rank_loops.py")
TRAIN = """
    import os, sys, torch, time, signal
    from torch import distributed, nn
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DataLoader, TensorDataset

    def train(kill=False):
        rank = distributed.get_rank()
        torch.manual_seed(0)
        model = DistributedDataParallel(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        data = TensorDataset(torch.randn(160, 3, generator=torch.Generator().manual_seed(rank)))
        workers = int("--workers" in sys.argv)
        start = "spawn" if workers else None
        for (x,) in DataLoader(data, 8, num_workers=workers, multiprocessing_context=start):
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if kill:
                time.sleep(0.05)  # as slow as a real step: what is younger than 0.25 s may be lost
        if kill and rank == 0:  # the launcher ends it, often before it has told what it met
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if kill and rank == 1:
            time.sleep(1.5)
            os.kill(os.getpid(), signal.SIGKILL)
        distributed.barrier()
        said = os.environ.get("PYTHONPATH"), os.environ.get("UNSTUCK_RECORD")
        os.write(1, f"trained {rank} {said[0]} {said[1]}\\n".encode())  # in one piece
"""
LAUNCHED = (
    TRAIN
    + """
    if __name__ == "__main__":
        distributed.init_process_group("gloo")
        train(kill="--kill" in sys.argv)
        distributed.destroy_process_group()
"""
)
SPAWNED = (
    TRAIN
    + """
    def work(rank, port):
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = "127.0.0.1", port
        distributed.init_process_group("gloo", rank=rank, world_size=2)
        train()
        distributed.destroy_process_group()

    if __name__ == "__main__":
        torch.multiprocessing.spawn(work, args=(sys.argv[1],), nprocs=2)
        print("PYTHONPATH" in os.environ, "UNSTUCK_RECORD" in os.environ)
"""
)


def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def command(*words, cwd):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env={**env, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
    )


def script(folder, text):
    import textwrap

    path = folder / "train.py"
    path.write_text(textwrap.dedent(text))
    return path.name


@pytest.fixture(scope="module")
def loops(tmp_path_factory):
    """Every loop of rank_loops.py on two ranks, alone and watched, in one launch."""
    folder = tmp_path_factory.mktemp("loops")
    done = command(*TORCHRUN, free_port(), SCRIPT, folder, cwd=folder)
    assert done.returncode == 0, done.stderr
    told = [json.loads((folder / f"told-{rank}.json").read_text()) for rank in (0, 1)]
    return folder, told


NAMES = (
    "ddp", "ddp_statistics", "ddp_accumulating", "ddp_checkpointed", "ddp_unused_parameters",
    "ddp_static_graph", "fsdp", "fsdp_accumulating", "fsdp_returning_losses",
)  # fmt: skip
BY_TERM = {  # a backward pass of each term is possible without talking to the other rank
    "ddp", "ddp_statistics", "ddp_accumulating", "ddp_checkpointed", "ddp_unused_parameters"
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_watching_ranks_changes_no_bit_and_starts_no_talk(name, loops):
    _, told = loops
    for rank in (0, 1):
        assert told[rank][name]["numbers"] > 100
        assert told[rank][name]["same"], f"rank {rank} of {name} is not what it is unwatched"
        assert told[rank][name]["talks"] == told[rank][name]["talks_watched"]


def test_every_loop_is_tested(loops):
    assert set(loops[1][0]) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_ranks_of_a_loop_are_one_run(name, loops):
    run = unstuck.load(loops[0] / name)
    assert isinstance(run, unstuck.Run)
    assert run.facts["ranks/count"] == run.facts["ranks/read"] == 2
    assert run.facts["rank/1/closed"] is True
    (loss,) = [n for n in run.series if n.startswith("loss/")]
    assert len(run.series[loss]) == len(run.series[f"rank/1/{loss}"]) > 10
    assert any(n.startswith("grad_norm/") for n in run.series)
    gaps = [s for n, s in run.series.items() if n.startswith("replica_gap/")]
    assert not gaps if name.startswith("fsdp") else gaps and not gaps[0].value.any()
    assert ("gradient_share/loss/fit" in run.series) is (name in BY_TERM)
    assert not unstuck.diagnose(run).at_least("warning")


def test_an_unchanged_script_under_torchrun_is_one_run_with_data_workers_left_out(tmp_path):
    name = script(tmp_path, LAUNCHED)
    words = ("torchrun", *TORCHRUN[2:], free_port(), name, "--workers")
    done = command("-m", "unstuck", "run", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    printed = sorted(line for line in done.stdout.splitlines() if line.startswith("trained"))
    assert printed == ["trained 0 None None", "trained 1 None None"]
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("train-")
    assert sorted(p.name for p in folder.iterdir()) == ["rank-1", "run.sqlite"]
    run = unstuck.load(folder)
    assert len(run.series["loss/loss"]) == len(run.series["rank/1/loss/loss"]) == 20
    assert str(run.recipe["command"]) == "train.py --workers"


def test_processes_spawned_by_a_watched_script_are_one_run(tmp_path):
    name = script(tmp_path, SPAWNED)
    done = command("-m", "unstuck", "run", "--out", "run", name, free_port(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    printed = sorted(line for line in done.stdout.splitlines() if line)
    assert printed == ["False False", "trained 0 None None", "trained 1 None None"]
    run = unstuck.load(tmp_path / "run")
    assert isinstance(run, unstuck.Run), done.stderr
    assert run.facts["ranks/backend"] == "gloo"
    assert len(run.series["loss/loss"]) == len(run.series["rank/1/loss/loss"]) == 20


def test_a_killed_rank_leaves_its_record_and_is_named(tmp_path):
    name = script(tmp_path, LAUNCHED)
    words = (*TORCHRUN, free_port(), name, "--kill")
    done = command("-m", "unstuck", "run", "--out", "run", *words, cwd=tmp_path)
    assert done.returncode != 0
    assert re.search(r"DST004 .*rank 1 was lost after step \d+", done.stderr), done.stderr
    run = unstuck.load(tmp_path / "run")
    assert len(run.series["rank/1/loss/loss"]) >= 2  # the last quarter of a second may be lost
    assert "rank/1/closed" not in run.facts and "rank/0/exception" in run.facts


def test_ranks_that_name_no_directory_agree_on_one(tmp_path):
    told = LAUNCHED.replace(
        'train(kill="--kill" in sys.argv)',
        "import unstuck\n        for _ in 'ab':\n            with unstuck.watch(): train()",
    )
    done = command(*TORCHRUN, free_port(), script(tmp_path, told), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2 and folders[1].name == f"{folders[0].name}-2"
    assert [unstuck.load(f).facts["ranks/read"] for f in folders] == [2, 2]
