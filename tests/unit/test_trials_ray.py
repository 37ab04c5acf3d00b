"""A trial on a real Ray cluster of two nodes, one of which is killed in its middle."""

import io
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from unstuck.trials import PlanError, trial
from unstuck.trials.artefacts import LEFT_OUT, TAIL, UnsafeArtefactError, packed, unpack
from unstuck.trials.executor import Job
from unstuck.trials.ray_cluster import RayExecutor, room
from unstuck.trials.subject import Subject

pytestmark = [
    # Ray leaves pipes of the processes it started to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # Ray announces what it will do with CUDA_VISIBLE_DEVICES one day
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

TRAINING = """
import os, time
from pathlib import Path

def train(recipe, seed):
    begun = Path(recipe["begun"])
    node = os.environ.get("RAY_RAYLET_PID", 0)
    name = f"{recipe['lr']}-{seed}-{os.getpid()}"
    draft = begun / f".{name}"
    draft.write_text(f"{node} {os.getpid()}")
    draft.rename(begun / name)
    print("trained in", __file__)
    if recipe["lr"] < 0:
        raise RuntimeError("the rate is negative")
    doomed = begun.parent / f"doomed-{node}"
    time.sleep(600 if doomed.exists() else recipe["seconds"])
    return {"score": recipe["lr"] + seed * 7919 % 13 / 13 + 0.02 * (recipe["lr"] * seed % 3)}
"""
PATIENCE = 60.0  # seconds for something that happens within a few


@pytest.fixture(scope="module")
def cluster():
    ray_cluster = pytest.importorskip("ray.cluster_utils")
    small = {"num_cpus": 1, "object_store_memory": 80_000_000}
    head = {**small, "include_dashboard": False}
    # the default is to believe in a silent node for half a minute
    beats = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
    made = ray_cluster.Cluster(
        initialize_head=True, head_node_args={**head, "_system_config": beats}
    )
    made.small = small
    yield made
    made.shutdown()


@pytest.fixture
def subject(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "begun").mkdir()
    file = tmp_path / "project" / "training.py"
    file.write_text(TRAINING)
    return Subject(train=f"{file}:train", path=(str(file.parent),))


def recipe(tmp_path, lr=1.0, seconds=0.0):
    return {"lr": lr, "seconds": seconds, "begun": str(tmp_path / "begun")}


def wait_for(found):
    deadline = time.monotonic() + PATIENCE
    while not (answer := found()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert answer, "it has not happened"
    return answer


def begun_on(folder, raylet):
    """Processes of runs that were begun on the node with this raylet."""
    texts = [file.read_text().split() for file in folder.glob("[!.]*")]
    return [int(process) for node, process in texts if int(node) == raylet]


def outcomes_of(executor):
    return wait_for(lambda: executor.finished())


def test_a_node_is_killed_in_the_middle_and_the_verdict_is_the_same(cluster, subject, tmp_path):
    def run(out, **where):
        return trial(
            subject.train,
            recipe(tmp_path, seconds=0.2),
            {"better": {"lr": 1.5}, "worse": {"lr": 0.5}},
            metric="score",
            higher_is_better=True,
            seeds=3,
            out=tmp_path / out,
            progress=False,
            cache=False,
            **where,
        )

    victim = cluster.add_node(**cluster.small)
    raylet = victim.all_processes["raylet"][0].process.pid
    (tmp_path / f"doomed-{raylet}").touch()  # no run ends there, however slow this machine is
    killed = []

    def kill():
        killed.extend(wait_for(lambda: begun_on(tmp_path / "begun", raylet)))
        cluster.remove_node(victim, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    disturbed = run("ray", ray=cluster.address)
    killer.join()
    began = [file.name.rpartition("-")[0] for file in (tmp_path / "begun").glob("[!.]*")]
    assert len(began) > len(set(began)), "the run on the lost node began anew on another"
    assert not Path(f"/proc/{killed[-1]}").exists(), "what ran on the lost node is gone"

    undisturbed = run("local", workers=2)
    assert [o.metrics for o in disturbed.outcomes] == [o.metrics for o in undisturbed.outcomes]
    assert disturbed.verdicts == undisturbed.verdicts
    assert {v.treatment.name: v.word for v in disturbed.verdicts} == {
        "better": "helped",
        "worse": "harmed",
    }


def test_a_crash_is_a_result_and_its_files_come_back(cluster, subject, tmp_path):
    executor = RayExecutor(cluster.address, subject, "score")
    try:
        assert executor.places == 1
        folder = tmp_path / "arms" / "bad"
        executor.start(Job("bad", recipe(tmp_path, lr=-1.0), 4, folder))
        (outcome,) = outcomes_of(executor)
    finally:
        executor.stop()
    assert (outcome.arm, outcome.seed) == ("bad", 4)
    assert outcome.error == "RuntimeError: the rate is negative"
    assert len(list((tmp_path / "begun").glob("[!.]*"))) == 1, "it is not tried again"
    assert "Traceback" in (folder / "stderr").read_text()
    assert "trained in" in (folder / "stdout").read_text()


def test_a_cancelled_run_ends_and_so_does_everything_that_is_stopped(cluster, subject, tmp_path):
    executor = RayExecutor(cluster.address, subject, "score")
    begun = tmp_path / "begun"
    try:
        first, second = (
            Job("slow", recipe(tmp_path, seconds=600.0), seed, tmp_path / f"{seed}")
            for seed in range(2)
        )
        executor.start(first)
        (slow,) = wait_for(lambda: [int(f.read_text().split()[1]) for f in begun.glob("[!.]*")])
        executor.cancel(first)
        assert executor.running() == []
        wait_for(lambda: not Path(f"/proc/{slow}").exists())
        executor.start(second)
        wait_for(lambda: len(list(begun.glob("[!.]*"))) == 2)
    finally:
        executor.stop()
    processes = [int(file.read_text().split()[1]) for file in begun.glob("[!.]*")]
    assert not any(Path(f"/proc/{process}").exists() for process in processes)


def test_a_shipped_project_runs_from_its_copy(cluster, subject, tmp_path):
    executor = RayExecutor(cluster.address, subject, "score", ship=tmp_path / "project")
    folder = tmp_path / "shipped"
    try:
        executor.start(Job("baseline", recipe(tmp_path), 0, folder))
        (outcome,) = outcomes_of(executor)
    finally:
        executor.stop()
    assert not outcome.error
    trained_in = (folder / "stdout").read_text()
    assert "training.py" in trained_in
    assert str(tmp_path / "project") not in trained_in


def test_what_can_never_run_is_one_line(cluster, subject, tmp_path):
    missing = Subject(train=f"{tmp_path / 'project' / 'training.py'}:nothing")
    executor = RayExecutor(cluster.address, missing, "score")
    try:
        executor.start(Job("baseline", recipe(tmp_path), 0, tmp_path / "out"))
        with pytest.raises(PlanError, match=r"cannot import .*nothing") as raised:
            outcomes_of(executor)
    finally:
        executor.stop()
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "out") in str(raised.value), "it says where the files are here"


def test_more_than_any_node_has_is_refused(cluster, subject):
    with pytest.raises(PlanError, match="no node of the Ray cluster has what a run takes"):
        RayExecutor(cluster.address, subject, "score", gpus=0.5)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster at '127.0.0.1:1'"),
        ("ray://127.0.0.1:1", "no Ray cluster at"),
        ("nonsense", "is no address of a Ray cluster"),
        ("host:99999999", "is no address of a Ray cluster"),
    ],
)
def test_an_address_without_a_cluster_is_one_line(address, message):
    with pytest.raises(PlanError, match=message) as raised:
        RayExecutor(address, Subject(train="a:b"), "score")
    assert "\n" not in str(raised.value)


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PlanError, match=r"pip install 'unstuck\[ray\]'"):
        RayExecutor("auto", Subject(train="a:b"), "score")


@pytest.mark.parametrize(("cpus", "gpus"), [(0, 0.0), (1, -1.0), (1, 1.5)])
def test_shares_that_cannot_be_given_are_refused(cpus, gpus):
    with pytest.raises(PlanError, match="a part of one GPU or several whole ones"):
        RayExecutor("auto", Subject(train="a:b"), "score", cpus=cpus, gpus=gpus)


def test_room_on_a_node_is_bounded_by_cores_and_by_whole_cards():
    node = {"CPU": 16.0, "GPU": 3.0}
    assert [room(node, 1, gpus) for gpus in (0.0, 0.25, 0.4, 1.0, 2.0)] == [16, 12, 6, 3, 1]
    assert room(node, 6, 0.25) == 2
    assert room({}, 1, 0.0) == 0


def test_files_come_back_as_they_were_and_links_do_not(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "run").mkdir(parents=True)
    (there / "run" / "record.db").write_bytes(b"\0\1\2")
    (there / "stdout").write_text("x" * (TAIL + 10) + "end")
    (tmp_path / "secret").write_text("secret")
    (there / "link").symlink_to(tmp_path / "secret")
    unpack(packed(there), here)
    assert (here / "run" / "record.db").read_bytes() == b"\0\1\2"
    printed = (here / "stdout").read_text()
    assert len(printed) == TAIL
    assert printed.endswith("end")
    assert sorted(p.name for p in here.iterdir()) == ["run", "stdout"]


def test_files_that_are_too_large_are_named_instead(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    (there / "small").write_text("small")
    (there / "checkpoint").write_bytes(b"0" * 5000)
    unpack(packed(there, most=1000), here, most=1000)
    assert (here / "small").read_text() == "small"
    assert (here / LEFT_OUT).read_text() == "checkpoint (5000 bytes)\n"
    assert not (here / "checkpoint").exists()


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "c:/out", "a\\..\\out"])
def test_no_file_leads_out_of_its_folder(tmp_path, name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("fine", "fine")
        archive.writestr(name, "bad")
    with pytest.raises(UnsafeArtefactError, match="outside its folder"):
        unpack(buffer.getvalue(), tmp_path / "here")
    assert list(tmp_path.rglob("*")) == []


def test_a_bomb_is_not_unpacked(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"0" * (2 * TAIL))
    with pytest.raises(UnsafeArtefactError, match="more than a run may have"):
        unpack(buffer.getvalue(), tmp_path / "here", most=TAIL // 2)
    assert list(tmp_path.rglob("*")) == []
    with pytest.raises(UnsafeArtefactError, match="cannot be read"):
        unpack(b"no archive", tmp_path / "here")
