"""Attention maps are read alike however attention is written, and tokens where blocks end."""

import math

import pytest
import torch
import torch.nn.functional as F
from loops import state
from torch import nn

import unstuck

WIDTH, HEADS, TOKENS = 12, 2, 7


class Fused(nn.Module):
    """Self-attention that calls torch's fused function."""

    def __init__(self, causal=False):
        super().__init__()
        self.qkv, self.causal, self.maps = nn.Linear(WIDTH, 3 * WIDTH), causal, []

    def split(self, x):
        parts = self.qkv(x).view(*x.shape[:2], 3, HEADS, -1)
        return parts.permute(2, 0, 3, 1, 4)

    def keep(self, q, k):
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if self.causal:
            scores = scores + torch.full((TOKENS, TOKENS), -math.inf).triu(1)
        self.maps.append(torch.exp(scores - scores.logsumexp(-1, keepdim=True)).detach())

    def forward(self, x):
        q, k, v = self.split(x)
        self.keep(q, k)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return y.transpose(1, 2).flatten(2)


class Written(Fused):
    """The same with a softmax of its own."""

    def forward(self, x):
        q, k, v = self.split(x)
        self.keep(q, k)
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if self.causal:
            later = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, -1e9)
        return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


class Block(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention, self.mlp, self.outputs = attention, nn.Linear(WIDTH, WIDTH), []

    def forward(self, x):
        x = x + self.attention(x)
        x = x + self.mlp(x).relu()
        self.outputs.append(x.detach())
        return x


class Model(nn.Module):
    def __init__(self, attention, causal):
        super().__init__()
        self.blocks = nn.ModuleList(Block(attention(causal)) for _ in range(2))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x.mean(1)


def training(make, steps=18):
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        loss = model(torch.randn(3, TOKENS, WIDTH)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, state([model], [optimizer])


def entropy(maps, causal):
    """Of all maps, over that of looking at every permitted key alike."""
    wide = [math.log(i + 1) if causal else math.log(TOKENS) for i in range(TOKENS)]
    own = [
        -sum(p * math.log(p) for p in row if p > 0)
        for sample in maps.double().tolist()
        for head in sample
        for row in head
    ]
    return sum(own) / (sum(wide) * maps.shape[0] * maps.shape[1])


@pytest.mark.parametrize("attention", [Fused, Written])
@pytest.mark.parametrize("causal", [False, True])
def test_maps_and_tokens_as_the_model_had_them(tmp_path, attention, causal):
    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        model, _ = training(lambda: Model(attention, causal))
    series = unstuck.load(run.path).series
    for i, block in enumerate(model.blocks):
        place = f"model.blocks.{i}"
        found = series[f"attention/{place}.attention/entropy"]
        assert found.step.tolist() == [0, 1, 2, 3, 4, 16]
        for step, value in zip(found.step, found.value, strict=True):
            assert value == pytest.approx(entropy(block.attention.maps[step], causal), rel=1e-4)
        alike = series[f"tokens/{place}/similarity"]
        for step, value in zip(alike.step, alike.value, strict=True):
            cosines = F.cosine_similarity(
                block.outputs[step][:, :, None], block.outputs[step][:, None], dim=-1
            )
            off = ~torch.eye(TOKENS, dtype=torch.bool).expand(3, -1, -1)
            assert value == pytest.approx(float(cosines[off].mean()), abs=1e-4)
    first, second = (b.attention.maps[16].flatten(0, 2) for b in model.blocks)
    twin = float(F.cosine_similarity(first, second).mean())
    likeness = series["attention/model.blocks.1.attention/likeness"]
    assert likeness.value[-1] == pytest.approx(twin, rel=1e-4)
    assert "attention/model.blocks.0.attention/likeness" not in series
    assert "tokens/model.blocks.0.input/similarity" in series


@pytest.mark.parametrize("need_weights", [False, True])
def test_torchs_own_layers_are_read(tmp_path, need_weights):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

        def forward(self, x):
            return self.layer(x, x, x, need_weights=need_weights)[0]

    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        training(Own)
    found = unstuck.load(run.path).series["attention/model.layer/entropy"].value
    assert found.min() > 0.5 and found.max() <= 1


def test_a_sequence_that_comes_first_is_not_taken_for_the_batch(tmp_path):
    def stack(batch_first):
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, 0.0, batch_first=batch_first)
        return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    class Turned(nn.Module):
        def __init__(self, batch_first):
            super().__init__()
            self.stack, self.first = stack(batch_first), batch_first

        def forward(self, x):
            return self.stack(x if self.first else x.transpose(0, 1)).mean()

    read = {}
    for first in (True, False):
        with unstuck.watch(out=tmp_path / str(first), budget=None) as run:
            training(lambda first=first: Turned(first))
        read[first] = unstuck.load(run.path).series["tokens/model.stack.layers.1/similarity"].value
    assert read[True] == pytest.approx(read[False], abs=1e-3)


def test_a_softmax_over_classes_is_no_attention(tmp_path):
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(WIDTH, 5)

        def forward(self, x):
            return self.head(x).softmax(-1)

    with unstuck.watch(out=tmp_path / "run", budget=None) as run:
        training(Classifier)
    assert not unstuck.load(run.path).matching("attention/*")


@pytest.mark.parametrize("attention", [Fused, Written])
def test_watching_changes_no_bit(tmp_path, attention):
    alone = training(lambda: Model(attention, True))[1]
    with unstuck.watch(out=tmp_path / "run", budget=None):
        watched = training(lambda: Model(attention, True))[1]
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
