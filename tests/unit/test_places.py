"""Which logs are found below a path, and which of them say the same twice."""

import os
from importlib import import_module

import pytest
from test_log_commands import write

from unstuck.load import load_all, places
from unstuck.source import UnreadableRunError

TEXT = "".join(f"step {t}: loss {2 / (1 + t):.4f}\n" for t in range(50))


def names(folder):
    return [place.name for place in places(folder)]


def text(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT)


def test_text_beside_or_above_another_log_says_the_same_once_more(tmp_path):
    write(tmp_path / "a/metrics/log.csv")
    text(tmp_path / "a/train.log")
    text(tmp_path / "nohup.out")
    assert names(tmp_path) == ["a/metrics/log.csv"]


def test_text_is_read_where_nothing_else_is(tmp_path):
    write(tmp_path / "a/log.csv")
    text(tmp_path / "b/train.log")
    assert names(tmp_path) == ["a/log.csv", "b/train.log"]


def test_hidden_folders_and_links_are_left_alone(tmp_path):
    write(tmp_path / ".cache/log.csv")
    write(tmp_path / "a/log.csv")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert names(tmp_path) == ["a/log.csv"]


def test_runs_are_named_after_where_they_lie(tmp_path):
    write(tmp_path / "x/y/log.csv")
    write(tmp_path / "z.csv")
    assert [run.name for run in load_all(tmp_path)] == ["x/y/log.csv", "z.csv"]


def test_more_files_than_are_looked_at_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(import_module("unstuck.load"), "MOST_PLACES", 5)
    for i in range(6):
        (tmp_path / f"{i}.bin").write_bytes(b"\0")
    with pytest.raises(UnreadableRunError, match="more than 5 files"):
        places(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path / "log.csv")
    assert names(tmp_path) == ["log.csv"]


def test_a_log_that_is_only_read_once_for_all_sources(tmp_path, monkeypatch):
    from unstuck.reading import bounds

    write(tmp_path / "log.csv")
    bounds._head.cache_clear()
    places(tmp_path / "log.csv")
    assert bounds._head.cache_info().misses == 1


def test_a_log_of_the_validation_beside_that_of_the_training_is_no_second_training(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / f"plots/{split}/loss.csv")
    write(tmp_path / "test/loss.csv")  # a run somebody called test
    assert {run.name: list(run.series) for run in load_all(tmp_path)} == {
        "plots/train/loss.csv": ["loss/loss"],
        "plots/val/loss.csv": ["metric/val/loss"],
        "test/loss.csv": ["loss/loss"],
    }


def test_a_role_that_is_said_counts_more_than_where_a_log_lies(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / f"{split}.csv")
    runs = load_all(tmp_path, {"loss": "loss"})
    assert [list(run.series) for run in runs] == [["loss/loss"]] * 2


def test_pictures_and_a_table_of_their_labels_are_no_run(tmp_path):
    for i in range(300):
        (tmp_path / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    rows = "".join(f"{i}.png,{i % 10},{i % 7},{i % 3},{i / 300}\n" for i in range(300))
    (tmp_path / "labels.csv").write_text("image,label,test,cost,score\n" + rows)
    with pytest.raises(UnreadableRunError, match="holds no run"):
        places(tmp_path)


def test_files_of_data_sets_are_not_opened(tmp_path, monkeypatch):
    from unstuck.reading import bounds

    for i in range(50):
        (tmp_path / f"{i}.JPG").write_bytes(b"\xff\xd8\xff\xe0")
    write(tmp_path / "log.csv")
    bounds._head.cache_clear()
    assert names(tmp_path) == ["log.csv"]
    assert bounds._head.cache_info().misses == 1
