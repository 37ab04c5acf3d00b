"""A small training whose default rate is a hundred times too high: what docs/fix.md is shown with.

unstuck fix scripts/digits_too_fast.py
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.3)
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
torch.manual_seed(options.seed)

digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
y = torch.tensor(digits.target)
net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=options.lr)
for epoch in range(options.epochs):
    net.train()
    for i in torch.randperm(1400).split(32):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x[i]), y[i])
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        val_loss = F.cross_entropy(net(x[1400:]), y[1400:])
    print(f"epoch {epoch}: loss {loss.item():.4f}, val_loss: {val_loss.item():.4f}")
