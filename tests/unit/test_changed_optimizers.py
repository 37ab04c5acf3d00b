"""Live changes of optimizers equal the same change written into the script."""

import pytest

pytest.importorskip("torch")

from changed_training import changed  # noqa: E402

PLAIN = """
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(128, 6)
    y = x.sum(1, keepdim=True).sin()
    losses = []
    for step in range(20):
        i = torch.randint(0, 128, (16,))
        loss = F.mse_loss(net(x[i]), y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
"""


@pytest.mark.parametrize("child", [False, True])
def test_learning_rate(tmp_path, child):
    found = changed(tmp_path, PLAIN, [("lr=0.1", "lr=0.01")], {"lr/optimizer": 0.01}, child=child)
    assert found.moved > 1e-3
    assert found.apart == 0
    assert found.acted("lr/optimizer")
