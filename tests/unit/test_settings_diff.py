"""What a treatment changes is told as settings, before and after."""

import pytest

from unstuck.changes import KINDS
from unstuck.records import Run, Treatment
from unstuck.settings_diff import AS_WRITTEN, lines, settings_diff

WORDS = {"schedule": "cosine:100", "initialisation": "kaiming", "accumulation": "mean"}


def told(run, **changes):
    named = {name.replace("__", "/"): value for name, value in changes.items()}
    return lines(settings_diff(run, Treatment("t", "r", named, "")))


def test_present_values_come_from_the_run():
    run = Run.of({"batch_size": 16}, lr__adam=[0.1, 0.05], weight__loss__l1=[100.0, 100.0])
    assert told(run, lr__adam="x0.1", weight__loss__l1="x0.05", batch_size=64) == (
        "learning rate of adam, at its highest: 0.1 -> 0.01",
        "weight of l1 in loss: 100 -> 5",
        "batch_size: 16 -> 64",
    )


def test_groups_of_an_optimizer_are_its_own():
    run = Run.of(lr__adam__1=[0.3, 0.3], lr__adam2=[9.0, 9.0])
    assert told(run, lr__adam="x0.1") == ("learning rate of adam: 0.3 -> 0.03",)


def test_what_was_not_recorded_is_said_so():
    assert told(Run.of(), lr__adam="x0.1", clip__adam=1.0, fresh=3) == (
        f"learning rate of adam: {AS_WRITTEN} -> times 0.1",
        f"largest gradient norm of adam: {AS_WRITTEN} -> 1",
        f"fresh: {AS_WRITTEN} -> 3",
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_live_change_has_words(kind):
    place = "loss/l1" if kind.where == "<loss>/<term>" else "net"
    fixed = ("cross_entropy", "elementwise", "loss", "labels")
    place = next((p for p in fixed if kind.pattern == p), place)
    words = WORDS.get(kind.name) or kind.words.split("|")[0] or min(2, kind.most)
    (line,) = lines(
        settings_diff(Run.of(), Treatment("t", "r", {f"{kind.name}/{place}": words}, ""))
    )
    name, _, change = line.partition(": ")
    assert name and " -> " in change and "/" not in line and "{" not in line
    before, after = change.split(" -> ")
    assert before != after
