"""Batches in every container people use are cut, joined and mapped sample by sample."""

from collections import UserDict, namedtuple
from dataclasses import dataclass

import pytest
import torch

from unstuck.lab import batch

Pair = namedtuple("Pair", "x y")


@dataclass
class Boxed:
    x: torch.Tensor
    name: str
    scale: torch.Tensor


class Encoding(UserDict):
    """As tokenizers give them: a mapping that is no dict."""


X, Y = torch.arange(12.0).reshape(6, 2), torch.arange(6)
KINDS = {
    "tensor": X,
    "pair": (X, Y),
    "list": [X, Y],
    "named tuple": Pair(X, Y),
    "dict": {"x": X, "y": {"deep": Y}, "text": "hello"},
    "encoding": Encoding(x=X, y=Y),
    "dataclass": Boxed(X, "n", torch.tensor(3.0)),
}
EVERY = pytest.mark.parametrize("kind", KINDS)


@EVERY
def test_samples_are_taken_from_every_tensor(kind):
    whole = KINDS[kind]
    assert batch.size(whole) == 6
    some = batch.taken(whole, [4, 1])
    assert type(some) is type(whole)
    for part, before in zip(batch.tensors(some), batch.tensors(whole), strict=True):
        assert torch.equal(part, before[[4, 1]] if before.ndim else before)


@EVERY
def test_micro_batches_joined_again_are_the_batch(kind):
    parts = batch.chunks(KINDS[kind], 3)
    assert [batch.size(p) for p in parts] == [2, 2, 2]
    for one, other in zip(
        batch.tensors(batch.together(parts)), batch.tensors(KINDS[kind]), strict=True
    ):
        assert torch.equal(one, other)


def test_what_is_not_by_sample_goes_along_whole():
    constant = torch.arange(3)
    some = batch.taken((X, constant), slice(0, 2))
    assert torch.equal(some[1], constant)
    assert torch.equal(batch.together([some, some])[1], constant)


def test_mapping_changes_tensors_alone():
    changed = batch.mapped(KINDS["dict"], lambda t: t + 1)
    assert torch.equal(changed["x"], X + 1) and changed["text"] == "hello"
    assert torch.equal(KINDS["dict"]["x"], torch.arange(12.0).reshape(6, 2))


def test_what_cannot_be_cut_is_refused_in_one_line():
    with pytest.raises(ValueError, match="batch of 6 cannot be cut into 4 equal parts"):
        batch.chunks(X, 4)
    with pytest.raises(ValueError, match="holds no tensor"):
        batch.size({"a": 1})
    with pytest.raises(ValueError, match="no batches"):
        batch.together([])
