"""Probing a watched run: nothing of the training changes, and what cannot be probed says why."""

import pytest
import torch
import torch.nn.functional as F
import unusual_loops
from loops import LOOPS
from torch import nn

import unstuck

BOTH = LOOPS | unusual_loops.LOOPS
WHY_NOT = {
    "functional_weights": "tensors that belong to no module",
    "functional_gradients": "the run ended before",
    "hooks_on_tensors": "hooks on tensors",
    "hooks_on_modules": "hooks on its modules",
}
QUIET = pytest.mark.filterwarnings("ignore::UserWarning")  # reentrant checkpoints, bfloat16


def probed(body, folder, steps=(2,), seconds=1.5, **options):
    with unstuck.watch(
        out=folder, budget=None, probe=steps, probe_seconds=seconds, **options
    ) as run:
        result = body()
    return result, unstuck.load(run.path)


@QUIET
@pytest.mark.parametrize("name", BOTH)
def test_probing_changes_no_bit(name, tmp_path):
    alone = BOTH[name]()
    watched, run = probed(BOTH[name], tmp_path / "run")
    assert len(alone) == len(watched)
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
    assert "exit/watcher" not in run.facts
    told = run.facts["probed/2"]
    assert WHY_NOT[name] in told if name in WHY_NOT else told.startswith("probed ")


def test_what_is_recorded_beside_it_is_what_it_would_be(tmp_path):
    with unstuck.watch(out=tmp_path / "alone", budget=None) as run:
        LOOPS["cnn"]()
    alone = unstuck.load(run.path)
    _, beside = probed(LOOPS["cnn"], tmp_path / "run", (2, 20))

    def kept(run):
        return {n for n in run.series if not n.startswith(("seconds/", "wait/", "bytes/"))}

    assert kept(alone) == kept(beside)
    for name in kept(alone):
        assert alone.series[name].step.tolist() == beside.series[name].step.tolist()
        assert alone.series[name].value.tobytes() == beside.series[name].value.tobytes(), name


def test_the_time_it_takes_is_none_of_the_steps(tmp_path):
    _, run = probed(LOOPS["mlp"], tmp_path / "run", (40,), seconds=6)
    took = float(run.facts["probed/40"].partition(" in ")[2].partition(" s")[0])
    whole = run.series["seconds/step"].value.sum()
    assert took > 0.5 and whole < took / 2


def test_a_game_is_probed_by_the_first_that_steps(tmp_path, capfd):
    _, run = probed(LOOPS["gan"], tmp_path / "run")
    assert "probed d_loss of net_d (8 samples)" in run.facts["probed/2"]
    assert "unstuck: step 2: probed d_loss of net_d" in capfd.readouterr().err


def test_terms_and_batches_of_earlier_steps_are_handed_on(tmp_path):
    """The probe `start` tells which term reaches which module; others use further batches."""
    from unstuck.watcher import probing_subject

    seen = []
    original = probing_subject.subject_of

    def see(*args):
        seen.append(original(*args))
        return seen[-1]

    probing_subject.subject_of = see
    try:
        probed(LOOPS["cnn"], tmp_path / "run", (4,))
    finally:
        probing_subject.subject_of = original
    (subject,) = seen
    terms = subject.terms()
    assert set(terms) == {"loss", "data", "decay"}
    assert torch.allclose(terms["loss"], terms["data"] + terms["decay"])
    assert len(subject.more(9)) == 4 and subject.samples == 6
    assert [t.shape for t in subject.batch] == [(6, 1, 8, 8), (6,)]
    assert isinstance(subject.optimizer, torch.optim.AdamW)


def test_a_loss_over_a_number_written_into_it_is_not_cut_into_parts(tmp_path):
    def body():
        torch.manual_seed(0)
        model = nn.Linear(6, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(5):
            x = torch.randn(32, 6)
            loss = (model(x)[:, 0] - x[:, 0]).square().sum() / 32
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    _, run = probed(body, tmp_path / "run")
    assert "(1 samples)" in run.facts["probed/2"]
    assert not [n for n in run.facts if n.startswith("accumulation/")]


class Chosen(nn.Module):
    """What it does is decided outside of torch, and otherwise each time."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.calls = 0

    def forward(self, x):
        type(self).count = getattr(type(self), "count", 0) + 1
        return self.layers[type(self).count % 2](x)


class Drawing(nn.Linear):
    """Noise from a generator of its own, which no seed of torch reaches."""

    def __init__(self, size):
        super().__init__(size, size)
        self.draw = torch.Generator().manual_seed(0)

    def forward(self, x):
        return super().forward(x) + torch.randn(x.shape, generator=self.draw)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Chosen, "something in it is decided outside of torch"),
        (lambda: Drawing(4), "a module draws from a random generator of its own"),
    ],
    ids=["chosen", "drawing"],
)
def test_what_the_tape_cannot_repeat_is_not_probed(kind, why, tmp_path):
    def body():
        torch.manual_seed(0)
        model = kind()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(8):
            x = torch.randn(8, 4)
            loss = F.mse_loss(model(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return [p.detach().clone() for p in model.parameters()] + [
            model.draw.get_state() if isinstance(model, Drawing) else torch.zeros(())
        ]

    if kind is not Chosen:
        alone = body()
    watched, run = probed(body, tmp_path / "run", (2, 4))
    assert why in run.facts["probed/2"]
    if kind is not Chosen:
        assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))


def test_a_compiled_model_is_left_alone(tmp_path):
    def body():
        model = torch.compile(nn.Linear(4, 1), backend="eager")
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(8):
            loss = model(torch.randn(8, 4)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    _, run = probed(body, tmp_path / "run")
    assert "compiled" in run.facts["probed/2"]


def test_nothing_is_left_behind(tmp_path):
    from torch.nn.modules import module
    from torch.overrides import _get_current_function_mode_stack

    probed(LOOPS["mlp"], tmp_path / "run", (1, 500))
    assert not _get_current_function_mode_stack()
    assert not module._has_any_global_hook()


@pytest.mark.parametrize("steps", [(1.5,), (-1,), ("1",)])
def test_steps_are_whole_numbers(steps, tmp_path):
    with pytest.raises(ValueError, match="give steps"):
        unstuck.watch(out=tmp_path / "run", probe=steps)
