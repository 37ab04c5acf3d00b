"""Chapter 11, distributed training: what is exact about it, shown with shards in one process.

No item trains on several machines (that needs several processes), so these facts stand alone.
"""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


def network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)
    ).double()


def gradients(model, x, y):
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def batch(count=12):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 6, generator=generator, dtype=torch.float64)
    return x, torch.randint(3, (count,), generator=generator)


@pytest.mark.entry("11.04", "11.24")
def test_counts_of_cluster_and_parallel_axes():
    assert 16 * 192 == 3072 and 8 * 3072 == 24576
    assert 8 * 16 * 16 * 8 == 16384


@pytest.mark.entry("11.06")
def test_mean_of_local_gradients_is_the_gradient_of_the_whole_batch():
    model, (x, y) = network(), batch()
    whole = gradients(model, x, y)
    local = [gradients(model, x[i::4], y[i::4]) for i in range(4)]
    torch.testing.assert_close(torch.stack(local).mean(0), whole)
    uneven = [gradients(model, x[:1], y[:1]), gradients(model, x[1:], y[1:])]
    assert not torch.allclose(torch.stack(uneven).mean(0), whole)  # equal shards only


@pytest.mark.entry("11.06")
def test_replicas_that_apply_the_mean_stay_identical():
    replicas, (x, y) = [network(), network()], batch()
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.1) for m in replicas]
    for _ in range(3):
        for i, model in enumerate(replicas):
            gradients(model, x[i::2], y[i::2])
        for p, q in zip(replicas[0].parameters(), replicas[1].parameters(), strict=True):
            p.grad = q.grad = (p.grad + q.grad) / 2
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(replicas[0].parameters(), replicas[1].parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.entry("11.09", "V7")
def test_sharded_adam_equals_the_whole_one_when_gradients_are_averaged():
    (x, y), workers, steps = batch(), 4, 5
    whole = network()
    flat = torch.nn.utils.parameters_to_vector(whole.parameters()).detach().clone()
    owned = [torch.nn.Parameter(part.clone()) for part in flat.tensor_split(workers)]
    owners = [torch.optim.Adam([part], lr=0.05) for part in owned]
    optimizer = torch.optim.Adam(whole.parameters(), lr=0.05)
    for _ in range(steps):
        gathered = network()
        flat = torch.cat([part.detach() for part in owned])
        torch.nn.utils.vector_to_parameters(flat, gathered.parameters())
        shards = [(x[i::workers], y[i::workers]) for i in range(workers)]
        local = torch.stack([gradients(gathered, *shard) for shard in shards])
        scattered = local.mean(0).tensor_split(workers)
        for part, owner, gradient in zip(owned, owners, scattered, strict=True):
            part.grad = gradient
            owner.step()
        gradients(whole, x, y)
        optimizer.step()
    after = torch.nn.utils.parameters_to_vector(whole.parameters())
    torch.testing.assert_close(torch.cat(list(owned)), after)
    torch.testing.assert_close(local.sum(0), workers * local.mean(0))  # a sum is M times as much


@pytest.mark.entry("11.08", "V6")
def test_bytes_of_a_parameter():
    weight, gradient, moments, master = 2, 2, 4 + 4, 4
    assert weight + gradient + moments == 12 and 10e9 * 12 == 120e9
    assert weight + gradient + moments + master == 16  # mixed precision as it is usually done


@pytest.mark.entry("11.12")
def test_checkpointing_changes_no_gradient():
    model, (x, y) = network(), batch()
    plain = gradients(model, x, y)
    model.zero_grad()
    hidden = checkpoint(model[:2], x, use_reentrant=False)
    F.cross_entropy(model[2](hidden), y).backward()
    assert torch.equal(torch.cat([p.grad.flatten() for p in model.parameters()]), plain)


def forwards(layers, every, keep_segment):
    """Layer evaluations of a backward pass that stores each `every`-th activation."""
    count = layers
    for start in range(0, layers, every):
        segment = min(every, layers - start)
        count += segment - 1 if keep_segment else sum(range(segment))
    return count


@pytest.mark.entry("11.13", "V8")
@pytest.mark.parametrize("root", [4, 8, 16])
def test_cost_of_checkpointing_with_and_without_keeping_the_segment(root):
    layers = root * root
    assert forwards(layers, 1, True) == layers
    assert forwards(layers, layers, False) == layers + layers * (layers - 1) // 2  # input only
    again = forwards(layers, root, False)
    assert again - layers == layers * (root - 1) / 2  # of order N sqrt N, as the notes say
    assert forwards(layers, root, True) < 2 * layers  # one extra forward, as it is done


def attention(q, k, v):
    return torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1) @ v


@pytest.mark.entry("11.18")
def test_ring_attention_equals_full_attention():
    torch.manual_seed(0)
    q, k, v = (torch.randn(12, 8, dtype=torch.float64) for _ in range(3))
    blocks = 4
    for own in range(blocks):  # each worker keeps its queries; keys and values travel round
        mine = q.tensor_split(blocks)[own]
        top = torch.full((len(mine), 1), -math.inf, dtype=torch.float64)
        total, mixed = torch.zeros_like(top), torch.zeros_like(mine)
        for turn in range(blocks):
            block = (own + turn) % blocks
            scores = mine @ k.tensor_split(blocks)[block].T / math.sqrt(8)
            new_top = torch.maximum(top, scores.amax(1, keepdim=True))
            weights, shrink = torch.exp(scores - new_top), torch.exp(top - new_top)
            total = total * shrink + weights.sum(1, keepdim=True)
            mixed = mixed * shrink + weights @ v.tensor_split(blocks)[block]
            top = new_top
        torch.testing.assert_close(mixed / total, attention(q, k, v).tensor_split(blocks)[own])


@pytest.mark.entry("11.19", "V9")
def test_heads_on_different_workers_equal_full_attention_after_two_all_to_alls():
    torch.manual_seed(0)
    workers, length, heads, size = 4, 12, 4, 5
    q, k, v = (torch.randn(length, heads, size, dtype=torch.float64) for _ in range(3))

    def all_to_all(parts, split, join):
        """Worker j gets the j-th piece of everybody along `split`, joined along `join`."""
        pieces = [part.tensor_split(workers, split) for part in parts]
        return [torch.cat([p[j] for p in pieces], join) for j in range(workers)]

    by_head = [all_to_all(t.tensor_split(workers, 0), 1, 0) for t in (q, k, v)]
    mixed = [
        attention(*(t.transpose(0, 1) for t in qkv)).transpose(0, 1)
        for qkv in zip(*by_head, strict=True)
    ]
    back = torch.cat(all_to_all(mixed, 0, 1), 0)
    full = attention(*(t.transpose(0, 1) for t in (q, k, v))).transpose(0, 1)
    torch.testing.assert_close(back, full)


@pytest.mark.entry("11.22")
@pytest.mark.parametrize(("stages", "pieces"), [(4, 1), (4, 4), (4, 16), (8, 8)])
def test_the_pipeline_bubble_shrinks_with_microbatches(stages, pieces):
    ends = [[0] * pieces for _ in range(stages)]
    for stage in range(stages):
        for piece in range(pieces):
            ready = ends[stage - 1][piece] if stage else 0
            free = ends[stage][piece - 1] if piece else 0
            ends[stage][piece] = max(ready, free) + 1
    idle = 1 - pieces / ends[-1][-1]
    assert idle == pytest.approx((stages - 1) / (pieces + stages - 1))


@pytest.mark.entry("11.23")
def test_column_then_row_split_needs_one_sum():
    torch.manual_seed(0)
    x, W = torch.randn(5, 8, dtype=torch.float64), torch.randn(8, 16, dtype=torch.float64)
    U = torch.randn(16, 3, dtype=torch.float64)
    columns, rows = W.tensor_split(4, 1), U.tensor_split(4, 0)
    for between in (torch.relu, torch.nn.functional.gelu, lambda y: y):
        parts = [between(x @ w) @ u for w, u in zip(columns, rows, strict=True)]
        torch.testing.assert_close(sum(parts), between(x @ W) @ U)
    across = [torch.softmax(x @ w, 1) @ u for w, u in zip(columns, rows, strict=True)]
    assert not torch.allclose(sum(across), torch.softmax(x @ W, 1) @ U)  # element-wise only
