"""`unstuck probe` and `preflight`: from a function in a file to an answer, or one clear line."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import unstuck
from unstuck.cli import main

CHECK = """
import torch
import torch.nn.functional as F
from torch import nn
import unstuck


def network():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def data():
    x = torch.randn(192, 6)
    return list(zip(x.split(32), x[:, :3].argmax(1).split(32)))


def subject():
    model, batches = network(), data()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return unstuck.Subject(model, batches[0], F.cross_entropy, optimizer, batches=batches[1:])


def triple():
    return network(), data()[0], F.cross_entropy


def mapping():
    return {"model": network(), "batch": data()[0], "loss": F.cross_entropy}


def diverging():
    model, batches = network(), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e4)
    return unstuck.Subject(model, batches[0], F.cross_entropy, optimizer, batches=batches[1:])


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 8)
        self.read = nn.GRU(8, 8, batch_first=True, bidirectional=True)
        self.scores = nn.Linear(16, 11)

    def forward(self, x):
        return self.scores(self.read(self.words(x))[0])


def cheating():
    text = torch.randint(11, (64, 17))
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters())

    def loss(model, batch):
        return F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())

    return unstuck.Subject(model, text[:16], loss, optimizer, batches=text.split(16)[1:])


def frozen():
    model = network().requires_grad_(False)
    return model, data()[0], F.cross_entropy


def plain(width=16, normalised=False):
    layers = [nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3)]
    return nn.Sequential(*layers, *([nn.LayerNorm(3)] if normalised else []))


family = unstuck.Family("plain", plain, {"width": [8, 16, 32], "normalised": [False, True]})


def number():
    return 7


def pair():
    return network(), data()[0]


def no_model():
    return 1, data()[0], F.cross_entropy


def failing():
    raise ZeroDivisionError("in the user's own code")


not_a_function = 3
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    (tmp_path / "check.py").write_text(CHECK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


@pytest.mark.parametrize("given", ["subject", "triple", "mapping"])
def test_whatever_the_function_gives_is_probed(check, given):
    done = run("probe", f"check.py:{given}", "--only", "start,determinism")
    assert done.exit_code == 0, done.output
    assert "start" in done.output and "determinism" in done.output


def test_a_module_is_found_by_its_name(check, monkeypatch):
    monkeypatch.syspath_prepend(str(check))
    (check / "checked_module.py").write_text(CHECK)
    assert run("probe", "checked_module:triple", "--only", "start").exit_code == 0


def test_page_json_and_record_hold_what_was_found(check):
    done = run(
        "probe", "check.py:subject", "--only", "start", "--html", "a.html", "--json", "a.json",
        "--out", "kept",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads((check / "a.json").read_text())
    facts = told["probes"]["start"]["facts"]
    assert facts and unstuck.load(check / "kept").facts.items() >= facts.items()
    assert "check.py:subject" in (check / "a.html").read_text()
    again = run("probe", "check.py:subject", "--out", "kept")
    assert again.exit_code and "already holds a run" in again.output


def test_a_sound_training_goes_and_a_diverging_one_is_warned_of(check):
    sound = run("preflight", "check.py:subject", "--seconds", "40")
    assert sound.exit_code == 0, sound.output
    assert "\nGo: no reason found" in sound.output
    sick = run("preflight", "check.py:diverging", "--seconds", "40", "--html", "sick.html")
    assert "Go, with" in sick.output and "OPT001" in sick.output
    assert "OPT001" in (check / "sick.html").read_text()


def test_a_model_that_sees_what_it_must_predict_is_no_go(check):
    done = run("preflight", "check.py:cheating", "--seconds", "40")
    assert done.exit_code == 1 and "No-go" in done.output and "SEQ003" in done.output, done.output


def test_a_card_that_is_too_small_is_no_go(check):
    done = run("preflight", "check.py:subject", "--gpu-memory", "1MB", "--seconds", "40")
    assert done.exit_code == 1 and "the card's memory" in done.output, done.output


def test_a_model_without_gradients_is_told_probe_by_probe(check):
    done = run("preflight", "check.py:frozen", "--seconds", "40")
    assert "not probed: no parameter of the model asks for gradients" in done.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["probe", "check.py"], "give module:function"),
        (["probe", "missing.py:subject"], "there is no file missing.py"),
        (["probe", "no_such_module:subject"], "there is no module no_such_module"),
        (["probe", "check.py:nothing"], "has no 'nothing'"),
        (["probe", "check.py:not_a_function"], "is a int, not a function"),
        (["probe", "check.py:number"], "gave a int; return an unstuck.Subject"),
        (["probe", "check.py:pair"], "gave a tuple"),
        (["probe", "check.py:no_model"], "not a torch.nn.Module"),
        (["probe", "check.py:subject", "--only", "astrology"], "there is no probe 'astrology'"),
        (["probe", "check.py:subject", "--gpu-memory", "lots"], "no size of memory"),
        (["preflight", "check.py:subject", "--seconds", "-1"], "--seconds"),
    ],
)
def test_bad_input_is_one_clear_line(check, words, told):
    done = run(*words)
    assert done.exit_code
    assert told in done.output + str(done.exception)


def test_the_users_own_mistake_keeps_its_traceback(check):
    done = run("probe", "check.py:failing")
    assert isinstance(done.exception, ZeroDivisionError)


def test_explain_knows_probes():
    done = run("explain", "noise-scale")
    assert done.exit_code == 0 and "noise" in done.output


def test_the_options_of_a_checkpoint_are_recovered_with_their_proof(check):
    torch.save(nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3)).state_dict(), "a.pt")
    done = run("recover", "a.pt", "check.py:family")
    assert done.exit_code == 0, done.output
    assert "width=32" in done.output and "(32, 6)" in done.output


def test_a_checkpoint_of_another_family_is_not_taken_for_one(check):
    torch.save(nn.Linear(3, 3).state_dict(), "b.pt")
    done = run("recover", "b.pt", "check.py:family")
    assert done.exit_code == 1 and "No recipe of plain" in done.output


@pytest.mark.parametrize(
    ("file", "family", "told"),
    [
        ("missing.pt", "family", "missing.pt"),
        ("check.py", "family", "check.py"),
        ("check.py", "number", "is a int, not an unstuck.Family"),
        ("check.py", "absent", "has no 'absent'"),
    ],
)
def test_what_is_no_checkpoint_or_family_is_one_clear_line(check, file, family, told):
    done = run("recover", file, f"check.py:{family}")
    assert done.exit_code and "Traceback" not in done.output
    assert told in done.output + str(done.exception)
