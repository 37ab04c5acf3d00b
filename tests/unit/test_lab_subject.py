"""A subject takes models, batches and losses as people have them."""

import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unstuck.experiment import NotProbed
from unstuck.lab.subject import Subject, takes_model

X, Y = torch.randn(6, 4), torch.randint(3, (6,))


def by_model(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def by_term(net, batch):
    out = net(batch[0])
    return {"fit": F.cross_entropy(out, batch[1]), "small": 0.1 * out.square().mean()}


@pytest.mark.parametrize(
    "loss",
    [
        F.cross_entropy,
        nn.CrossEntropyLoss(),
        by_model,
        functools.partial(F.cross_entropy, label_smoothing=0.0),
        lambda prediction, target: F.cross_entropy(prediction, target),
        lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]),
    ],
)
def test_a_loss_of_prediction_or_of_model_is_understood(loss):
    model = nn.Linear(4, 3)
    expected = F.cross_entropy(model(X), Y)
    assert torch.equal(Subject(model, (X, Y), loss).value(), expected)


def test_terms_have_their_names_and_a_total():
    subject = Subject(nn.Linear(4, 3), (X, Y), by_term)
    terms = subject.terms()
    assert set(terms) == {"fit", "small", "loss"}
    assert torch.equal(terms["loss"], terms["fit"] + terms["small"])


def test_the_total_may_be_given():
    def weighted(model, batch):
        fit = F.cross_entropy(model(batch[0]), batch[1])
        return {"fit": fit, "loss": 2 * fit}

    subject = Subject(nn.Linear(4, 3), (X, Y), weighted)
    assert torch.equal(subject.value(), 2 * subject.terms()["fit"])


def test_the_model_is_seen_as_the_loss_calls_it():
    model = nn.Linear(4, 3)
    call = Subject(model, (X, Y), by_term).call()
    assert torch.equal(call.args[0], X) and torch.equal(call.output, model(X))
    parts = Subject(nn.ModuleDict({"a": model}), (X, Y), lambda model, b: model["a"](b[0]).sum())
    with pytest.raises(NotProbed, match="parts of the model"):
        parts.call()


def test_only_what_the_optimizer_changes_counts():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    found = Subject(model, (X, Y), F.cross_entropy, optimizer).parameters
    assert [id(p) for p in found] == [id(p) for p in model[1].parameters()]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((lambda x: x, (X, Y), F.cross_entropy), "not a torch.nn.Module"),
        ((nn.Linear(4, 3), (X, Y), 3), "loss is a int"),
        ((nn.Linear(4, 3), "text", F.cross_entropy), "holds no tensor"),
    ],
)
def test_what_is_no_subject_is_refused_in_one_line(given, told):
    with pytest.raises(TypeError, match=told):
        Subject(*given)


def test_a_loss_that_is_no_number_is_refused():
    model = nn.Linear(4, 3)
    with pytest.raises(TypeError, match="must be one number"):
        Subject(model, (X, Y), lambda out, y: F.cross_entropy(out, y, reduction="none")).value()
    with pytest.raises(TypeError, match="needs a batch of two"):
        Subject(model, X, F.cross_entropy).value()


def test_who_is_handed_the_model():
    assert takes_model(by_model) and takes_model(by_term)
    assert not takes_model(F.mse_loss) and not takes_model(nn.MSELoss())
    assert not takes_model(torch.dist)
