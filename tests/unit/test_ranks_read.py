"""Who a process is among its ranks, where it writes, and how their records become one run."""

import numpy as np
import pytest

import unstuck
from unstuck.source import UnreadableRunError
from unstuck.sources.unstuck_run import FILE
from unstuck.watcher import launch, ranks
from unstuck.watcher.ranks import ALONE, Rank, own_directory, rank_here
from unstuck.watcher.store import Store

ENVIRONMENTS = [
    ({}, ALONE),
    ({"RANK": "3", "WORLD_SIZE": "8"}, Rank(3, 8)),
    ({"RANK": "1", "WORLD_SIZE": "2", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, Rank(1, 2)),
    ({"SLURM_PROCID": "5", "SLURM_NTASKS": "16"}, Rank(5, 16)),
    ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"}, Rank(1, 4)),
    ({"RANK": "../../x", "WORLD_SIZE": "2"}, ALONE),
    ({"RANK": "-1", "WORLD_SIZE": "2"}, ALONE),
    ({"RANK": "1"}, ALONE),
]


@pytest.mark.parametrize("environment, rank", ENVIRONMENTS)
def test_a_process_knows_its_rank_from_any_launcher(environment, rank):
    assert rank_here(environment) == rank


def test_ranks_of_one_launcher_get_one_directory_and_a_used_one_is_left_alone(
    tmp_path, monkeypatch
):
    def directory(rank):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        return launch.new_directory("train", tmp_path)

    first = directory(0)
    assert directory(1) == first
    for rank in (0, 1):
        record(first, rank)
    second = directory(0)
    assert directory(1) == second and second.name == f"{first.name}-2"


def test_ranks_of_several_machines_agree_under_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_STEP_ID", "2")
    found = [ranks.shared_directory("train", tmp_path, Rank(k, 4)) for k in range(4)]
    assert set(found) == {tmp_path / "train-4711.2"}


def record(
    folder, rank, *, joined=True, shift=0.0, loss="loss", losses=(1.0, 2.0, 3.0, 4.0), **facts
):
    """What a rank leaves behind; `shift` moves its copy of the model away from the first one's."""
    store = Store(own_directory(folder, Rank(rank, 2)), name="train", recipe={"lr": 0.1})
    projections = [
        (f"replica/net/projection{i}", s, 5.0 + shift, 0.0) for i in (0, 1) for s in (0, 2)
    ]
    norms = [("replica/net/norm", s, 10.0, 0.0) for s in (0, 2)]
    steps = [(f"loss/{loss}", s, v, 100.0 + s) for s, v in enumerate(losses)]
    store.put(lambda: [*steps, *projections, *norms, ("activation/net/std", 0, 1.0, 0.0)])
    told = {"ranks/index": rank, "ranks/count": 2, "replica/net/shapes": 7}
    store.note(told | ({"ranks/backend": "gloo"} if joined else {}) | facts)
    store.close()


def test_the_first_rank_keeps_its_names_and_the_others_are_told_apart(tmp_path):
    record(tmp_path / "run", 0)
    record(tmp_path / "run", 1, losses=(5.0, 6.0))
    run = unstuck.load(tmp_path / "run")
    assert run.name == "train" and run.recipe == {"lr": 0.1}
    assert run.series["loss/loss"].value.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert run.series["rank/1/loss/loss"].value.tolist() == [5.0, 6.0]
    assert "rank/1/activation/net/std" not in run.series and "activation/net/std" in run.series
    assert run.facts["ranks/read"] == 2
    assert run.facts["rank/1/last_step"] == 2 and run.facts["rank/0/last_wall"] == 103.0


def test_the_gap_between_copies_is_a_share_of_their_norm(tmp_path):
    record(tmp_path / "run", 0)
    record(tmp_path / "run", 1, shift=3.0)
    gap = unstuck.load(tmp_path / "run").series["replica_gap/net"]
    assert gap.step.tolist() == [0, 2] and gap.value == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize("other", [{"replica/net/shapes": 8}, {"loss": "judge"}])
def test_models_that_are_no_copies_have_no_gap(tmp_path, other):
    record(tmp_path / "run", 0)
    record(tmp_path / "run", 1, shift=3.0, **other)
    assert not unstuck.load(tmp_path / "run").matching("replica_gap/*")


def test_processes_that_never_joined_are_runs_of_their_own(tmp_path):
    for rank in (0, 1):
        record(tmp_path / "run", rank, joined=False)
    runs = unstuck.load(tmp_path / "run")
    assert [run.name for run in runs] == ["train/rank-0", "train/rank-1"]


def test_a_damaged_rank_is_told_and_the_others_are_read(tmp_path):
    for rank in (0, 1, 2):
        record(tmp_path / "run", rank)
    (tmp_path / "run" / "rank-1" / FILE).write_bytes(b"noise" * 999)
    run = unstuck.load(tmp_path / "run")
    assert run.facts["ranks/read"] == 2 and "damaged" in run.facts["rank/1/unreadable"]
    assert "rank/2/loss/loss" in run.series and "rank/1/loss/loss" not in run.series
    for rank in ("", "rank-2"):
        (tmp_path / "run" / rank / FILE).write_bytes(b"noise" * 999)
    with pytest.raises(UnreadableRunError):
        unstuck.load(tmp_path / "run")


def test_without_the_first_rank_the_next_one_leads(tmp_path):
    for rank in (2, 3):
        record(tmp_path / "run", rank)
    run = unstuck.load(tmp_path / "run")
    assert run.facts["ranks/index"] == 2
    assert {"loss/loss", "rank/3/loss/loss"} <= run.series.keys()


def test_folders_that_only_look_like_ranks_are_not_followed(tmp_path):
    record(tmp_path / "run", 0)
    record(tmp_path / "elsewhere", 0)
    (tmp_path / "run" / "rank-1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "run" / "rank-x").mkdir()
    (tmp_path / "run" / "rank-12345678").mkdir()
    run = unstuck.load(tmp_path / "run")
    assert isinstance(run, unstuck.Run) and "ranks/read" not in run.facts


def test_the_gap_is_the_distance_of_the_models_themselves(tmp_path):
    """Against the plain distance of two real models, within what 8 projections can tell."""
    import torch
    from torch import nn

    from unstuck.watcher.collector import Watched
    from unstuck.watcher.collectors.replicas import Replicas
    from unstuck.watcher.intervention import Interventions
    from unstuck.watcher.recorder import Recorder

    def projected(model, folder):
        store = Store(folder, name="x", recipe={})
        recorder = Recorder(store)
        watched = Watched(recorder, Interventions({}, recorder.note))
        Replicas(watched)._read("net", model)
        watched.close()
        recorder.flush()
        store.close()
        found = unstuck.load(folder).series
        told = {n.rsplit("/", 1)[1]: float(s.value[0]) for n, s in found.items()}
        return np.array([told[f"projection{i}"] for i in range(8)]), told["norm"]

    ratios = []
    for seed in range(20):
        torch.manual_seed(seed)
        one = nn.Sequential(nn.Linear(40, 90), nn.Linear(90, 7), nn.Conv2d(3, 8, 3))
        other = nn.Sequential(nn.Linear(40, 90), nn.Linear(90, 7), nn.Conv2d(3, 8, 3))
        flat = [torch.cat([p.flatten() for p in m.parameters()]) for m in (one, other)]
        a, norm = projected(one, tmp_path / f"{seed}-one")
        b, _ = projected(other, tmp_path / f"{seed}-other")
        assert norm == pytest.approx(float(flat[0].norm().detach()), rel=1e-5)
        ratios.append(np.sqrt(np.mean((a - b) ** 2)) / float((flat[0] - flat[1]).norm().detach()))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.15)
    assert min(ratios) > 0.4 and max(ratios) < 1.8
