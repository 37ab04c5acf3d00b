"""The probe keyhole: patches against the full canvas, each over the best constant."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unstuck.examine import examined, performed
from unstuck.experiment import NotProbed
from unstuck.lab.subject import Subject
from unstuck.probes.keyhole import keyhole


def blur() -> nn.Module:
    net = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.constant_(net.weight, 1 / 9)
    return net


def pairs(count: int, side: int, far: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(side)
    x = torch.randn(count, 1, side, side)
    y = F.avg_pool2d(x, 3, 1, 1)
    return x, (y.roll(far, 3) if far else y) + 0.5


def told(of: Subject) -> dict[str, float]:
    return {k.split("/")[2]: float(v) for k, v in performed(keyhole, of).facts.items()}


def test_errors_are_over_that_of_the_best_constant():
    """The twin for squared errors: the variance about the mean."""
    patch, full = pairs(8, 12), pairs(4, 48, far=9)
    of = Subject(blur(), patch, F.mse_loss, full=full)
    found = told(of)
    for what, (x, y) in (("patch", patch), ("full", full)):
        error = float(F.mse_loss(blur()(x), y).detach())
        assert found[f"{what}_error"] == pytest.approx(error, rel=1e-5)
        assert found[what] == pytest.approx(error / float(y.var(correction=0)), rel=1e-3)
    assert found["seen"] == pytest.approx(3 / 48)


def test_a_constant_of_classes_is_their_shares():
    x = torch.randn(4, 1, 12, 12)
    y = (torch.rand(4, 12, 12) < 0.25).long()
    net = nn.Sequential(blur(), nn.Conv2d(1, 2, 1))
    found = told(Subject(net, (x, y), F.cross_entropy, full=(x, y)))
    share = y.float().mean()
    entropy = -(share * share.log() + (1 - share) * (1 - share).log())
    assert found["patch_error"] / found["patch"] == pytest.approx(float(entropy), rel=1e-3)
    assert found["patch"] == found["full"]


def codes(of: Subject) -> list[str]:
    return [c.finding.code for c in examined(of, [keyhole]).diagnosis.causes]


def test_only_what_holds_on_patches_alone_is_found():
    net = blur()
    with torch.no_grad():
        x, _ = pairs(8, 12)
    patch, full = (x, net(x).detach()), pairs(4, 48, far=9)
    x, _ = pairs(4, 48)
    whole = (x, net(x).detach())
    assert codes(Subject(net, patch, F.mse_loss, full=full)) == ["CTX002"]
    assert codes(Subject(net, patch, F.mse_loss, full=whole)) == []
    assert codes(Subject(net, full, F.mse_loss, full=full)) == []


def test_rules_applied_again_and_outputs_by_name_are_measured():
    net = blur()

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"state": self.net(x)}

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        for _ in range(4):
            x = model(x)["state"]
        return F.mse_loss(x, y)

    found = told(Subject(Named(), pairs(4, 12), loss, full=pairs(2, 36)))
    assert found["seen"] == pytest.approx(9 / 36)
    assert 1 < found["patch"] < 5, "blurred four times, it is far from what was asked for"


def test_without_a_full_canvas_the_reason_is_said():
    with pytest.raises(NotProbed, match="no full canvas"):
        performed(keyhole, Subject(blur(), pairs(2, 12), F.mse_loss))
    words = (torch.randint(5, (2, 6)), torch.randn(2, 6, 3))
    of = Subject(nn.Embedding(5, 3), words, F.mse_loss, full=words)
    assert "keyhole/model/seen" not in performed(keyhole, of).facts
