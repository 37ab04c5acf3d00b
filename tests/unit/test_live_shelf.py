"""Runs kept up to date: what is read again, what is not, and what it may cost."""

import math
import time

import numpy as np
import pytest
from growing_run import GrowingRun
from test_log_commands import write

from unstuck import load
from unstuck.live import shelf as module
from unstuck.live.growth import grown, patience, speed, state_of
from unstuck.live.reader import Reader
from unstuck.live.shelf import Shelf
from unstuck.load import places
from unstuck.records import Run, Series


def settled(shelf):
    """Look until there is nothing to do; the rows by name."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not shelf.look() and shelf.scanned and all(row.read for row in shelf.rows()):
            return {row.name: row for row in shelf.rows()}
        time.sleep(0.01)
    raise AssertionError("it never came to rest")


def until(condition, shelf):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        shelf.look()
        time.sleep(0.01)


@pytest.fixture
def reads(monkeypatch):
    """The names of the places that are read wholly, in order."""
    names = []
    read = module.read
    monkeypatch.setattr(
        module, "read", lambda place, *a: names.append(place.name) or read(place, *a)
    )
    return names


def test_what_was_appended_is_what_reading_anew_gives(tmp_path):
    run = GrowingRun(tmp_path / "r")
    run.grow(30)
    (place,) = places(tmp_path)
    before = load(tmp_path / "r")
    run.grow(20, loss__late=2.0)
    run.read("loss/loss", 29, math.nan)  # the last known reading is corrected
    run.read("metric/val/psnr", 7, 21.5)
    run.close()
    after = grown(before, place)
    anew = load(tmp_path / "r")
    assert after.series.keys() == anew.series.keys()
    assert {"loss/late", "metric/val/psnr"} <= after.series.keys()
    for name, series in anew.series.items():
        assert after.series[name] == series
        assert np.array_equal(after.series[name].wall, series.wall, equal_nan=True)
    assert len(before.series["loss/loss"]) == 30  # records never change


def test_only_a_record_of_one_process_is_read_on(tmp_path):
    write(tmp_path / "a.csv")
    (place,) = places(tmp_path)
    assert grown(load(tmp_path / "a.csv"), place) is None
    for rank in ("r", "r/rank-1"):
        run = GrowingRun(tmp_path / rank)
        run.grow(5)
        run.close()
    place = next(p for p in places(tmp_path) if p.name == "r")
    assert grown(load(tmp_path / "r"), place) is None


def test_reading_changes_no_file(tmp_path):
    run = GrowingRun(tmp_path / "r")
    run.grow(30)
    (place,) = places(tmp_path)
    before = state_of(place)
    held = load(tmp_path / "r")
    grown(held, place)
    assert state_of(place) == before
    run.close()


def test_only_what_has_changed_is_read_again(tmp_path, reads):
    write(tmp_path / "a.csv")
    write(tmp_path / "b.csv")
    shelf = Shelf(tmp_path)
    settled(shelf)
    assert sorted(reads) == ["a.csv", "b.csv"]
    write(tmp_path / "b.csv", steps=300)
    until(lambda: len(reads) > 2, shelf)
    settled(shelf)
    assert reads[2:] == ["b.csv"]
    assert {row.name: row.steps for row in shelf.rows()} == {"a.csv": 200, "b.csv": 300}


def test_a_run_keeps_its_number_while_others_come_and_go(tmp_path):
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name)
    shelf = Shelf(tmp_path, scan_every=0.0)
    before = {name: row.number for name, row in settled(shelf).items()}
    (tmp_path / "a.csv").unlink()
    write(tmp_path / "c.csv")
    until(lambda: len(shelf.rows()) == 2 and "c.csv" in {r.name for r in shelf.rows()}, shelf)
    assert {r.name: r.number for r in shelf.rows()}["b.csv"] == before["b.csv"]
    assert shelf.opened(before["a.csv"]) is None and shelf.row(before["a.csv"]) is None
    write(tmp_path / "a.csv")
    until(lambda: len(shelf.rows()) == 3, shelf)
    assert {r.name: r.number for r in shelf.rows()}["a.csv"] == before["a.csv"]


def test_memory_is_bounded_by_the_readings_that_are_held(tmp_path, monkeypatch, reads):
    monkeypatch.setattr(module, "MOST_READINGS", 450)
    for name in "abcd":
        write(tmp_path / f"{name}.csv")  # 200 readings each
    shelf = Shelf(tmp_path)
    rows = settled(shelf)
    assert len(shelf._held) == 2
    reads.clear()
    for row in rows.values():  # what was given up is read once more when somebody looks
        assert shelf.opened(row.number).run.last_step == 199
    assert 2 <= len(reads) <= 4 and len(shelf._held) == 2


def test_a_log_whose_reading_is_expensive_is_read_seldom(tmp_path, monkeypatch, reads):
    log = write(tmp_path / "a.csv")
    shelf = Shelf(tmp_path)
    settled(shelf)
    clock = iter(np.arange(0.0, 1e6, 10.0))  # every reading seems to take ten seconds
    monkeypatch.setattr(module.time, "thread_time", lambda: float(next(clock)))
    write(log, steps=300)
    until(lambda: len(reads) == 2, shelf)
    write(log, steps=400)
    end = time.monotonic() + 2.5  # longer than it takes to see the change
    while time.monotonic() < end:
        shelf.look()
        time.sleep(0.01)
    assert len(reads) == 2  # once, and not again for the next 200 s


def test_a_damaged_log_is_not_read_again_and_again(tmp_path, reads):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "run.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 3000)
    shelf = Shelf(tmp_path)
    (row,) = settled(shelf).values()
    assert "damaged" in row.error
    for _ in range(5):
        assert shelf.opened(row.number) is None
    assert reads == ["r"]


def test_a_failing_detector_hides_no_run(tmp_path, monkeypatch):
    def broken(run):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(module, "diagnose", broken)
    write(tmp_path / "a.csv")
    shelf = Shelf(tmp_path)
    (row,) = settled(shelf).values()
    assert "ZeroDivisionError" in row.error and row.steps == 200
    assert shelf.opened(row.number).run.series


def test_a_run_is_going_on_until_it_is_closed_or_silent(tmp_path):
    run = GrowingRun(tmp_path / "r")
    run.grow(5)
    (place,) = places(tmp_path)
    assert patience(load(tmp_path / "r"), place) == 60
    run.note(exit__watcher="a reading was given up")
    assert patience(load(tmp_path / "r"), place) == 60  # it has not ended by that
    run.note(exit__exception="ValueError: no")
    assert patience(load(tmp_path / "r"), place) == 0
    run.close()
    closed = GrowingRun(tmp_path / "closed")
    closed.grow(5)
    closed.close()
    place = next(p for p in places(tmp_path) if p.name == "closed")
    assert patience(load(tmp_path / "closed"), place) == 0


def test_a_log_that_is_written_rarely_may_be_silent_for_longer(tmp_path):
    write(tmp_path / "a.csv")
    (place,) = places(tmp_path)
    step = np.arange(20)
    for gap, longest in ((1.0, 60.0), (120.0, 600.0), (1e9, 7200.0)):
        series = Series("loss/x", step, np.ones(20), 1e9 + gap * step)
        assert patience(Run({"loss/x": series}), place) == longest


def test_speed_is_that_of_the_last_steps():
    step = np.arange(100)
    slow_then_fast = Series(
        "loss/x", step, step * 0.0, np.concatenate([step[:50] * 9.0, 450 + step[50:] / 4])
    )
    assert speed(Run({"loss/x": slow_then_fast})) == pytest.approx(4.0)
    assert speed(Run({})) == 0.0


def test_nobody_looking_means_nothing_is_read(tmp_path, reads):
    reader = Reader(shelf := Shelf(tmp_path, scan_every=0.0), unseen=0.3)
    reader.start()
    end = time.monotonic() + 30
    while reader._awake.is_set() or not shelf.scanned:
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)
    write(tmp_path / "a.csv")
    time.sleep(1.0)
    assert reads == []
    while not reads:  # somebody looks again
        reader.wanted()
        assert time.monotonic() < end + 30
        time.sleep(0.05)
    reader.stop()
    assert not reader.is_alive()
