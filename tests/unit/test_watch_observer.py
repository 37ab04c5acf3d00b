"""The observer changes nothing: every number a loop leaves behind is bitwise the same."""

import pytest
import torch
from loops import LOOPS

import unstuck


@pytest.mark.parametrize("name", LOOPS)
def test_watching_changes_no_bit(name, tmp_path):
    alone = LOOPS[name]()
    with unstuck.watch(out=tmp_path / "run") as run:
        watched = LOOPS[name]()
    assert len(alone) == len(watched)
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
    series = unstuck.load(run.path).series
    assert any(n.startswith("grad_norm/") for n in series), "it was not watched at all"
    assert any(n.startswith("activation/") for n in series)


def test_nothing_is_left_behind(tmp_path):
    from torch.nn.modules import module
    from torch.optim import optimizer

    before = torch.Tensor.backward, torch.nn.Module.train, torch.nn.functional.cross_entropy
    with unstuck.watch(out=tmp_path / "run"):
        LOOPS["cnn"]()
    after = torch.Tensor.backward, torch.nn.Module.train, torch.nn.functional.cross_entropy
    assert before == after
    assert not module._global_forward_hooks and not module._global_forward_pre_hooks
    assert not optimizer._global_optimizer_pre_hooks and not optimizer._global_optimizer_post_hooks
