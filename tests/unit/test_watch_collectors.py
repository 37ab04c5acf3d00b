"""The shape of a measurement: told of what it overrides, given up alone, nothing left behind."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import cross_entropy

import unstuck
from unstuck.watcher import collector
from unstuck.watcher.collector import Collector, collector_classes


def train(steps=20, between=lambda run, out: None, out=None, **options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with unstuck.watch({"net": model}, out=out, budget=None, **options) as run:
        for _ in range(steps):
            answer = model(torch.randn(5, 4))
            loss = cross_entropy(answer, torch.zeros(5, dtype=torch.long))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            between(run, answer)
    return unstuck.load(out)


def only(monkeypatch, *kinds):
    monkeypatch.setattr(collector, "collector_classes", lambda: list(kinds))


def test_every_collector_of_the_folder_says_what_it_measures():
    found = collector_classes()
    assert all(kind.__doc__ for kind in found)
    assert len({kind.__name__ for kind in found}) == len(found)


def test_a_collector_hears_of_sampled_steps_and_its_values_carry_their_step(monkeypatch, tmp_path):
    heard = []

    class Outputs(Collector):
        """Means of outputs."""

        def forward(self, name, module, args, output, outermost):
            heard.append((name, outermost))
            self.hold([output.mean()], [f"activation/{name}/mean_of_collector"])

    only(monkeypatch, Outputs)
    run = train(out=tmp_path / "run")
    series = run.series["activation/net.2/mean_of_collector"]
    assert series.step.tolist() == [0, 1, 2, 3, 4, 16]
    assert heard[:4] == [("net.0", False), ("net.1", False), ("net.2", False), ("net", True)]
    assert len(heard) == 4 * 6


def test_every_step_is_told_only_to_who_asked_for_it(monkeypatch, tmp_path):
    counts = {"every": 0, "sampled": 0}

    class Every(Collector):
        """Counts all backward passes."""

        every_step = True

        def after_backward(self, loss):
            counts["every"] += 1

    class Sampled(Collector):
        """Counts those of sampled steps."""

        def after_backward(self, loss):
            counts["sampled"] += 1

    only(monkeypatch, Every, Sampled)
    train(out=tmp_path / "run")
    assert counts == {"every": 20, "sampled": 6}


def test_functions_are_heard_of_however_they_were_imported_and_put_back(monkeypatch, tmp_path):
    heard = []

    class Calls(Collector):
        """Hears of a loss and of a method."""

        functions = ("torch.nn.functional.cross_entropy", "torch.Tensor.item")

        def called(self, function, args, options, result):
            heard.append(function)

    only(monkeypatch, Calls)
    before = F.cross_entropy
    train(steps=3, between=lambda run, out: out.mean().item(), out=tmp_path / "run")
    assert heard.count("cross_entropy") == 3 and heard.count("item") == 3
    assert F.cross_entropy is before and cross_entropy is before
    assert "item" not in vars(torch.Tensor)


def test_a_collector_that_fails_is_given_up_and_the_rest_goes_on(monkeypatch, tmp_path, capsys):
    class Broken(Collector):
        """Fails at once."""

        def before_step(self, name, optimizer):
            raise KeyError("nothing there")

    only(monkeypatch, Broken)
    run = train(out=tmp_path / "run")
    assert "nothing there" in str(run.facts["exit/collector/Broken"])
    assert len(run.series["loss/loss"]) == 20
    assert capsys.readouterr().err.count("gave up measuring Broken") == 1


def test_what_costs_much_runs_only_where_everything_was_asked_for(monkeypatch, tmp_path):
    class Costly(Collector):
        """Notes that it ran."""

        costly = True

        def close(self):
            self.recorder.note({"environment/costly": True})

    only(monkeypatch, Costly)
    assert "environment/costly" not in train(out=tmp_path / "some").facts
    assert train(out=tmp_path / "all", everything=True).facts["environment/costly"] is True


@pytest.mark.parametrize("kind", ["embedding", "pool", "targets", "generated", "pair"])
def test_what_the_user_tells_reaches_who_asked(monkeypatch, tmp_path, kind):
    heard = []

    class Hears(Collector):
        """Hears what is told."""

        hears = (kind,)

        def told(self, kind, names, tensors):
            heard.append((kind, names, len(tensors)))

    def tell(run, answer):
        if kind == "pair":
            run.pair("image/a", answer, "text", answer)
        elif kind == "embedding":
            run.embedding("codes", answer)
        else:
            getattr(run, kind)(answer[:, 0])

    only(monkeypatch, Hears)
    train(between=tell, out=tmp_path / "run")
    names = {"pair": ("image.a", "text"), "embedding": ("codes",)}.get(kind, (kind,))
    assert set(heard) == {(kind, names, 2 if kind == "pair" else 1)}
    assert 4 <= len(heard) <= 8
