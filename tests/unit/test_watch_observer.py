"""The observer changes nothing: every number a loop leaves behind is bitwise the same."""

import pytest
import torch
import unusual_loops
from loops import LOOPS

import unstuck

WITHOUT_MODULES = unusual_loops.WITHOUT_MODULES
WITHOUT_STEPS = unusual_loops.WITHOUT_STEPS
BOTH = LOOPS | unusual_loops.LOOPS


@pytest.mark.parametrize("everything", [False, True], ids=["default", "everything"])
@pytest.mark.parametrize("name", BOTH)
def test_watching_changes_no_bit(name, everything, tmp_path, capfd):
    alone = BOTH[name]()
    with unstuck.watch(out=tmp_path / "run", everything=everything, budget=None) as run:
        watched = BOTH[name]()
    assert len(alone) == len(watched)
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
    found = unstuck.load(run.path)
    assert "exit/watcher" not in found.facts
    assert not capfd.readouterr().err, "a measurement was given up"
    if name not in WITHOUT_STEPS:
        assert any(n.startswith("grad_norm/") for n in found.series), "it was not watched at all"
    if name not in WITHOUT_MODULES:
        assert any(n.startswith("activation/") for n in found.series)


def test_nothing_is_left_behind(tmp_path):
    from torch.nn.modules import module
    from torch.optim import optimizer

    def replaced():
        tensor = torch.Tensor
        return (
            *(tensor.backward, tensor.register_hook, tensor.retain_grad, tensor.item),
            *(torch.nn.Module.train, torch.nn.functional.cross_entropy, torch.compile),
        )

    before = replaced()
    with unstuck.watch(out=tmp_path / "run"):
        LOOPS["cnn"]()
    assert before == replaced()
    assert not module._global_forward_hooks and not module._global_forward_pre_hooks
    assert not optimizer._global_optimizer_pre_hooks and not optimizer._global_optimizer_post_hooks
