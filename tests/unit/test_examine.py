"""Probes one after another: each gets its time, none costs another its answer."""

import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from probe_state import differences, everything
from torch import nn

import unstuck
from unstuck.examine import chosen, examined, performed
from unstuck.experiment import NotProbed, Result, probe
from unstuck.lab.subject import Subject


@probe("start/*")
def spoil(subject, *, seconds):
    """spoil: changes all weights."""
    with torch.no_grad():
        for parameter in subject.model.parameters():
            parameter.zero_()
    return Result({"start/model/left": seconds})


@probe("start/*")
def refuse(subject, *, seconds):
    """refuse: has nothing to look at."""
    raise NotProbed("there is nothing here; give batches")


@probe("start/*")
def crash(subject, *, seconds):
    """crash: meets a model that raises."""
    subject.model(torch.zeros(1, 99))
    return Result({})


@probe("start/*")
def dawdle(subject, *, seconds):
    """dawdle: takes its time."""
    time.sleep(0.3)
    return Result({"start/model/slept": 0.3})


def subject():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return Subject(model, (torch.randn(8, 3), torch.randint(2, (8,))), F.cross_entropy)


def test_each_leaves_the_model_as_it_was_and_costs_only_itself():
    it = subject()
    before = everything(it)
    told = []
    found = examined(it, (spoil, refuse, crash), about=told.append)
    assert not differences(before, everything(it))
    assert told == ["spoil", "refuse", "crash"]
    assert set(found.results) == {"spoil"}
    assert found.left_out["refuse"] == "there is nothing here; give batches"
    assert found.left_out["crash"].startswith("failed: RuntimeError: mat1 and mat2")
    assert found.diagnosis.run.facts == found.facts


def test_time_is_shared_and_what_does_not_fit_is_left_out():
    found = examined(subject(), (dawdle, dawdle, spoil), seconds=0.35)
    assert found.left_out["spoil"] == "no time was left of 0.35 s"
    share = examined(subject(), (spoil, refuse), seconds=10).facts["start/model/left"]
    assert 4.5 < share <= 5.0


def test_probes_are_chosen_by_name():
    assert [p.name for p in chosen(["start"])] == ["start"]
    assert {p.name for p in chosen(cheap=True)} < {p.name for p in chosen()}
    with pytest.raises(ValueError, match=r"no probe 'tea-leaves'; there are: .*start"):
        chosen(["tea-leaves"])


def test_ctrl_c_ends_all_of_it_with_the_model_put_back():
    @probe("start/*")
    def interrupted(subject, *, seconds):
        """interrupted: by its user."""
        subject.model.weight.data.zero_()
        raise KeyboardInterrupt

    it = subject()
    before = everything(it)
    with pytest.raises(KeyboardInterrupt):
        examined(it, (interrupted, spoil))
    assert not differences(before, everything(it))


def test_probing_in_a_watched_run_records_the_facts_and_no_steps(tmp_path):
    it = subject()
    optimizer = torch.optim.SGD(it.model.parameters(), lr=0.1)
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for step in range(4):
            optimizer.zero_grad()
            it.value().backward()
            optimizer.step()
            if step == 1:
                unstuck.probe(it.model, it.batch, it.loss, optimizer, only=["start"])
    kept = unstuck.load(run.path)
    assert kept.last_step == 3
    assert any(name.startswith("start/") for name in kept.facts)
    losses = [s for n, s in kept.series.items() if n.startswith("loss/")]
    assert [len(s) for s in losses] == [4]


def test_the_time_of_probing_is_none_of_the_steps(tmp_path, monkeypatch):
    monkeypatch.setattr("unstuck.watcher.session.chosen", lambda only: (dawdle, dawdle))
    it = subject()
    optimizer = torch.optim.SGD(it.model.parameters(), lr=0.1)
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        for step in range(6):
            optimizer.zero_grad()
            it.value().backward()
            optimizer.step()
            if step == 3:
                unstuck.probe(it.model, it.batch, it.loss, optimizer)
    times = unstuck.load(run.path).series["seconds/step"].value
    assert times.max() < 0.5  # of which 0.6 s would be the experiments'


class Noisy(nn.Module):
    """Draws from generators of its own."""

    def __init__(self):
        super().__init__()
        self.fit = nn.Linear(3, 2)
        self.drawn, self.chosen = torch.Generator().manual_seed(1), np.random.default_rng(2)

    def forward(self, x):
        noise = torch.randn(x.shape, generator=self.drawn)
        return self.fit(x + noise * self.chosen.random())


def test_generators_that_a_model_holds_are_put_back():
    torch.manual_seed(0)
    it = Subject(Noisy(), (torch.randn(8, 3), torch.randint(2, (8,))), F.cross_entropy)
    held = it.model.drawn.get_state(), it.model.chosen.bit_generator.state
    examined(it, chosen(["start", "determinism"]))
    assert torch.equal(it.model.drawn.get_state(), held[0])
    assert it.model.chosen.bit_generator.state == held[1]


def test_a_model_without_shapes_yet_is_asked_to_run_once():
    model = nn.Sequential(nn.LazyLinear(2))
    it = Subject(model, (torch.randn(8, 3), torch.randint(2, (8,))), F.cross_entropy)
    left_out = examined(it, chosen(["start"])).left_out
    assert left_out == {
        "start": "some parameters have no shape yet: run the model once before probing"
    }


def test_a_probe_called_by_itself_restores_too():
    it = subject()
    before = everything(it)
    performed(spoil, it)
    assert not differences(before, everything(it))
