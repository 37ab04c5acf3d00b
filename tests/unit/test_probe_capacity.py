"""A model beside a smaller and a larger plain network, on samples that none has seen."""

import copy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unstuck import diagnose
from unstuck.examine import examined, performed
from unstuck.experiment import NotProbed
from unstuck.lab.references import Reference, references, stand_in
from unstuck.lab.subject import Subject
from unstuck.probes.capacity import STEPS, capacity


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def line(count, noise):
    x = torch.randn(count + 256, 4)
    y = x.sum(1, keepdim=True) + noise * torch.randn(len(x), 1)
    return list(zip(x[:count].split(20), y[:count].split(20), strict=True)), [
        (x[count:], y[count:])
    ]


def facts_of(model, data, held_out, loss=F.mse_loss, seconds=60.0):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    subject = Subject(model, data[0], loss, optimizer, batches=data[1:], held_out=held_out)
    result = performed(capacity, subject, seconds)
    return SimpleNamespace(**{k.split("/")[2]: v for k, v in result.facts.items()}), result


def wide():
    return nn.Sequential(
        nn.Linear(4, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)
    )


def test_the_models_loss_is_that_of_a_plain_loop_on_a_copy():
    model, (data, held_out) = nn.Linear(4, 1), line(60, 0.5)
    twin = copy.deepcopy(model)
    found, _ = facts_of(model, data, held_out)
    optimizer = torch.optim.Adam(twin.parameters(), lr=3e-3)
    for number in range(STEPS + 1):
        x, y = data[number % 3]
        optimizer.zero_grad()
        F.mse_loss(twin(x), y).backward()
        optimizer.step()
    train = sum(F.mse_loss(twin(x), y).item() for x, y in data) / 3
    assert found.train == pytest.approx(train, rel=1e-4)
    assert found.unseen == pytest.approx(
        F.mse_loss(twin(held_out[0][0]), held_out[0][1]).item(), rel=1e-4
    )
    assert (found.parameters, found.smaller_parameters, found.samples) == (5, 5, 60)
    chance = held_out[0][1].var(correction=0).item()
    assert found.chance == pytest.approx(chance, rel=1e-3)


def test_noise_learned_by_heart_is_seen_beside_a_line():
    found, result = facts_of(wide(), *line(60, 3.0))
    assert found.complete and found.train < 0.3 * found.unseen
    assert found.smaller_unseen < 0.8 * found.unseen
    assert "a linear map" in result.said[0]


def test_a_line_for_a_bow_is_seen_beside_a_network():
    x = torch.randn(600, 1)
    data = list(zip(x[:400].split(40), x[:400].square().split(40), strict=True))
    found, _ = facts_of(nn.Linear(1, 1), data, [(x[400:], x[400:].square())])
    assert found.larger_unseen < 0.2 * found.unseen


def test_both_verdicts_from_the_probes_alone():
    """From the experiment to the finding."""
    from unstuck.examine import chosen

    x = torch.randn(600, 1)
    bow = list(zip(x[:400].split(40), x[:400].square().split(40), strict=True))
    small = nn.Linear(1, 1)
    for model, data, held_out, code in (
        (small, bow, [(x[400:], x[400:].square())], "CAP002"),
        (wide(), *line(60, 4.0), "CAP001"),
    ):
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        subject = Subject(
            model, data[0], F.mse_loss, optimizer, batches=data[1:], held_out=held_out
        )
        found = examined(subject, chosen(("capacity", "overfit-one-batch")))
        causes = [c.finding.code for c in found.diagnosis.causes if c.finding.severity != "info"]
        assert causes == [code]
        assert diagnose(found.diagnosis.run).causes == found.diagnosis.causes


def test_a_part_of_the_data_is_told():
    data, held_out = line(60, 1.0)
    many = [data[i % 3] for i in range(70)]
    assert facts_of(nn.Linear(4, 1), many, held_out)[0].complete is False
    assert facts_of(nn.Linear(4, 1), data, held_out)[0].complete is True


def test_references_have_the_models_shapes_and_take_its_place():
    model = nn.Conv2d(3, 2, 3, padding=1)
    batch = torch.randn(4, 3, 40, 40), torch.randn(4, 2, 40, 40)
    small, large = references(Subject(model, batch, F.mse_loss), batch)
    assert small(batch[0]).shape == large(batch[0]).shape == batch[1].shape
    assert sum(p.numel() for p in small.parameters()) == 3073 * 3200
    stand_in(model, small)
    assert torch.equal(model(batch[0]), small(batch[0]))


def test_columns_that_hardly_vary_are_not_blown_up():
    x = torch.randn(32, 5)
    x[:, 0] = 0.0
    reference = Reference(x, torch.zeros(32, 1))
    other = x.clone()
    other[:, 0] = 1.0
    assert (reference(other) - reference(x)).abs().max() < 5


def test_what_cannot_be_compared_says_why():
    data, _ = line(60, 1.0)
    with pytest.raises(NotProbed, match="give held_out batches"):
        facts_of(wide(), data, [])
    pictures = [(torch.rand(8, 6),) * 2]
    with pytest.raises(NotProbed, match="the answer is the input itself"):
        facts_of(nn.Sequential(nn.Linear(6, 2), nn.Linear(2, 6)), pictures, pictures)
    tokens = [(torch.randint(9, (8, 3)), torch.randint(9, (8,)))]
    words = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 9))
    with pytest.raises(NotProbed, match="no single tensor of numbers"):
        facts_of(words, tokens, tokens, F.cross_entropy)


def test_it_keeps_to_its_time():
    found, result = facts_of(wide(), *line(60, 1.0), seconds=0.05)
    assert "After" in result.said[0] and int(result.said[0].split()[1]) < STEPS
    assert found.samples == 60
