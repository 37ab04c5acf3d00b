"""Following a log that grows, restarts, or is not there yet."""

import pytest
from test_log_commands import write

from unstuck.follow import follow
from unstuck.policy import Policy


def growing(path, states):
    """A `sleep` that instead brings the log into its next state; the last one stays."""
    waiting = list(states)

    def sleep(seconds):
        if waiting:
            waiting.pop(0)()

    return sleep


def news(path, states, **policy):
    found = follow(path, Policy(**policy), every=1.0, idle=2.0, sleep=growing(path, states))
    return [(d.run.last_step, [f.code for f in new]) for d, new in found]


def test_a_finding_is_told_when_it_comes_up_and_not_again(tmp_path):
    log = tmp_path / "log.csv"
    states = [
        lambda: write(log, steps=100),
        lambda: write(log, diverges=True, steps=200),
        lambda: write(log, diverges=True, steps=400),
    ]
    told = news(log, states)
    assert told[0] == (199, ["OPT003"]) and len(told) == 1


def test_a_path_that_is_not_there_yet_is_waited_for(tmp_path):
    log = tmp_path / "later" / "log.csv"
    assert news(log, [lambda: None, lambda: write(log, diverges=True)]) == [(199, ["OPT003"])]


def test_a_log_that_has_not_changed_is_not_read_again(tmp_path, monkeypatch):
    log = write(tmp_path / "log.csv")
    reads = []
    from unstuck import follow as module

    load = module.load_all
    monkeypatch.setattr(module, "load_all", lambda *a: reads.append(a) or load(*a))
    assert news(log, [lambda: None] * 5) == []
    assert len(reads) == 1


def test_what_the_policy_ignores_is_no_news(tmp_path):
    log = write(tmp_path / "log.csv", diverges=True)
    assert news(log, [], ignore=("OPT",)) == []


def test_a_half_written_file_is_read_when_it_is_whole(tmp_path):
    log = tmp_path / "log.csv"
    states = [lambda: log.write_text("st"), lambda: write(log, diverges=True)]
    assert news(log, states) == [(199, ["OPT003"])]


@pytest.mark.parametrize("idle", [0.0, 5.0])
def test_it_ends_after_quiet_seconds(tmp_path, idle):
    slept = []
    log = write(tmp_path / "log.csv")
    list(follow(log, Policy(), every=1.0, idle=idle, sleep=slept.append))
    assert sum(slept) == idle
