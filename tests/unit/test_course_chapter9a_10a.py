"""Recurrent networks, attention and Transformers: mechanisms equal the library's, exact facts."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import captioning, char_rnn, mixture_of_experts, seq2seq, transformer_lm
from unstuck.cases.course.data import text

LIBRARY = {"vanilla": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


@pytest.mark.parametrize("name", LIBRARY)
def test_cell_equals_the_library_cell(name: str) -> None:
    torch.manual_seed(0)
    cell, library = char_rnn.CELLS[name](5, 4), LIBRARY[name](5, 4)
    library.load_state_dict(
        {
            "weight_ih": cell.input.weight,
            "bias_ih": cell.input.bias,
            "weight_hh": cell.hidden.weight,
            "bias_hh": cell.hidden.bias,
        }
    )
    x, state = torch.randn(3, 5), tuple(torch.randn(3, 4) for _ in range(cell.states))
    ours = cell(cell.input(x), state)
    theirs = library(x, state if name == "lstm" else state[0])
    theirs = theirs if name == "lstm" else (theirs,)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
    gradients = torch.autograd.grad(sum(part.square().sum() for part in ours), cell.hidden.weight)
    expected = torch.autograd.grad(sum(part.square().sum() for part in theirs), library.weight_hh)
    torch.testing.assert_close(gradients, expected)


def two_ones(third_row: list[float], h0: list[float]) -> list[float]:
    """The hand-built recurrent network of chapter 9A: state [current, previous, 1]."""
    cell = char_rnn.VanillaCell(1, 3, F.relu)
    with torch.no_grad():
        cell.input.weight.copy_(torch.tensor([[1.0], [0.0], [0.0]]))
        cell.hidden.weight.copy_(torch.tensor([[0.0] * 3, [1.0, 0.0, 0.0], third_row]))
        cell.input.bias.zero_()
        cell.hidden.bias.zero_()
    state, said = (torch.tensor([h0], dtype=torch.float32),), []
    for x in (0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0):
        state = cell(cell.input(torch.tensor([[x]])), state)
        said.append(float(F.relu(state[0].detach() @ torch.tensor([1.0, 1.0, -1.0]))))
    return said


@pytest.mark.entry("9A.08")
def test_two_consecutive_ones_need_the_third_row_and_the_first_state() -> None:
    truth = [0, 0, 0, 0, 1, 1, 0]
    assert two_ones([0, 0, 1], [0, 0, 1]) == truth
    assert two_ones([0, 0, 0], [0, 0, 1]) != truth  # the constant is lost after one step
    assert two_ones([0, 0, 1], [0, 0, 0]) != truth  # the constant was never there


@pytest.mark.entry("9A.09")
def test_gradient_of_a_shared_weight_is_the_sum_over_losses_and_over_steps() -> None:
    torch.manual_seed(0)
    x, w = torch.randn(6, 3), (0.5 * torch.randn(3, 3)).requires_grad_()

    def losses(weights: list[Tensor]) -> list[Tensor]:
        h, said = torch.zeros(3), []
        for t in range(6):
            h = torch.tanh(weights[t] @ h + x[t])
            said.append(h.square().sum())
        return said

    whole = torch.autograd.grad(torch.stack(losses([w] * 6)).sum(), w)[0]
    by_loss = [torch.autograd.grad(loss, w, retain_graph=True)[0] for loss in losses([w] * 6)]
    torch.testing.assert_close(whole, torch.stack(by_loss).sum(0))
    own = [w.detach().clone().requires_grad_() for _ in range(6)]  # a weight of its own per step
    by_step = torch.autograd.grad(torch.stack(losses(own)).sum(), own)
    torch.testing.assert_close(whole, torch.stack(by_step).sum(0))


@pytest.mark.parametrize(("singular_value", "grows"), [(1.3, True), (0.7, False)])
@pytest.mark.entry("9A.14")
def test_linear_recurrence_multiplies_the_gradient_by_the_singular_value(
    singular_value: float, grows: bool
) -> None:
    cell = char_rnn.VanillaCell(2, 4, lambda a: a)
    with torch.no_grad():
        nn.init.orthogonal_(cell.hidden.weight, gain=singular_value)
    h = first = torch.randn(1, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for _ in range(10):
        (h,) = cell(torch.zeros(1, 4), (h,))
    gradient = torch.autograd.grad(h[0, 0], first)[0]
    assert float(gradient.norm()) == pytest.approx(singular_value**10, rel=1e-4)
    assert (float(gradient.norm()) > 1) == grows


@pytest.mark.entry("9A.16")
def test_open_forget_gate_hands_the_memory_gradient_on_undamped() -> None:
    cell = char_rnn.LSTMCell(2, 3)
    with torch.no_grad():
        cell.hidden.weight.zero_()
        cell.hidden.bias.copy_(torch.tensor([-30.0] * 3 + [30.0] * 3 + [0.0] * 6))
    h, c = torch.zeros(1, 3), torch.randn(1, 3, requires_grad=True)
    last = c
    for _ in range(100):
        h, last = cell(torch.zeros(1, 12), (h, last))
    torch.testing.assert_close(torch.autograd.grad(last.sum(), c)[0], torch.ones(1, 3))


@pytest.mark.entry("9A.10")
def test_truncation_stops_the_gradient_but_carries_the_state() -> None:
    model = char_rnn.LanguageModel("gru", 8, 1.0)
    x = text.encoded("In the beginning God")[None]
    whole, _ = model(x, model.start(1))
    _, states = model(x[:, :10], model.start(1))
    carried = tuple(part.detach() for part in states[-1])
    rest, _ = model(x[:, 10:], carried)
    torch.testing.assert_close(rest, whole[:, 10:])
    full = torch.autograd.grad(whole[:, 10:].square().sum(), model.cell.hidden.weight)[0]
    truncated = torch.autograd.grad(rest.square().sum(), model.cell.hidden.weight)[0]
    assert not torch.allclose(full, truncated)


def test_neighbouring_chunks_follow_each_other_and_targets_are_one_later() -> None:
    characters = torch.arange(50)
    chunks = char_rnn.side_by_side(characters, 3, 7, seed=0)
    (x1, y1), (x2, _) = next(chunks), next(chunks)
    assert torch.equal(x1[:, 1:], y1[:, :-1])
    assert torch.equal(y1[:, -1], x2[:, 0])


def test_captions_are_scored_by_their_words() -> None:
    assert captioning.word_f1([5, 6, 0, 0], [6, 5]) == 1
    assert captioning.word_f1([5, 7, 0], [5, 6]) == 0.5
    assert captioning.word_f1([0, 0], [5]) == 0
    assert captioning.filled([[3], [4, 5]]).tolist() == [[3, 0, 0], [4, 5, 0]]


def test_captioner_speaks_what_teacher_forcing_would_score_highest() -> None:
    torch.manual_seed(0)
    model = captioning.Captioner(9, captioning.Recipe(width=2, state=6)).eval()
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        said = model.say(x, longest=4)
        scores = model(x, F.pad(said[:, :-1], (1, 0), value=captioning.START))
        scores[..., captioning.START] = -torch.inf
    assert torch.equal(scores.argmax(2), said)


@pytest.mark.entry("10A.03")
def test_additive_attention_is_a_distribution_over_the_letters() -> None:
    torch.manual_seed(0)
    attend = seq2seq.AdditiveAttention(3, 4, 5)
    s, h = torch.randn(2, 3), torch.randn(2, 6, 4)
    filler = torch.zeros(2, 6, dtype=torch.bool)
    filler[1, 4:] = True
    with torch.no_grad():
        a = attend(s, h, filler)
    torch.testing.assert_close(a.sum(1), torch.ones(2))
    assert (a[1, 4:] == 0).all()
    assert (a[~filler] > 0).all()
    e = attend.v.weight @ torch.tanh(attend.W.weight @ s[0] + attend.W.bias + attend.U(h[0, 2]))
    e0 = attend.v.weight @ torch.tanh(attend.W.weight @ s[0] + attend.W.bias + attend.U(h[0, 0]))
    assert float(a[0, 2] / a[0, 0]) == pytest.approx(float((e - e0).exp().detach()), rel=1e-4)


def test_held_out_days_are_never_learned() -> None:
    learned, held = seq2seq.dates(300, 0, held=False)[1], seq2seq.dates(300, 0, held=True)[1]
    assert not {tuple(d) for d in learned.tolist()} & {tuple(d) for d in held.tolist()}


def tiny(**knobs: object) -> transformer_lm.Transformer:
    torch.manual_seed(0)
    values = {"width": 16, "context": 12, "depth": 2, "heads": 4} | knobs
    return transformer_lm.Transformer(transformer_lm.Recipe(**values)).eval()  # type: ignore[arg-type]


@pytest.mark.entry("10A.06", "10A.07")
@pytest.mark.parametrize("causal", [True, False])
def test_attention_equals_the_library_function(causal: bool) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, 4, requires_grad=True) for _ in range(3))
    mask = torch.ones(5, 5, dtype=torch.bool).tril() if causal else None
    ours, weights = transformer_lm.attention(q, k, v, mask)
    theirs = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5))
    for a, b in zip(
        torch.autograd.grad(ours.square().sum(), (q, k, v)),
        torch.autograd.grad(theirs.square().sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.entry("10A.06")
def test_scaling_keeps_the_variance_of_the_scores() -> None:
    q, k = torch.randn(2, 20_000, 256, generator=torch.Generator().manual_seed(0))
    dots = (q * k).sum(1)
    assert float(dots.var()) == pytest.approx(256, rel=0.05)
    assert float((dots / 16).var()) == pytest.approx(1, rel=0.05)


@pytest.mark.entry("10A.12")
def test_multi_head_attention_equals_the_library_module() -> None:
    torch.manual_seed(0)
    ours, theirs = (
        transformer_lm.SelfAttention(12, 3),
        nn.MultiheadAttention(12, 3, batch_first=True),
    )
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    x, mask = torch.randn(2, 5, 12), torch.ones(5, 5, dtype=torch.bool).tril()
    y, weights = theirs(x, x, x, attn_mask=~mask, average_attn_weights=False)
    torch.testing.assert_close(ours(x, mask), y)
    torch.testing.assert_close(ours.weights, weights.detach())


@pytest.mark.entry("10A.12")
def test_more_heads_cost_no_more_parameters_or_multiplications() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    counts = set()
    for heads in (1, 2, 4, 8):
        layer = transformer_lm.SelfAttention(16, heads)
        with FlopCounterMode(display=False) as counter:
            layer(torch.randn(2, 6, 16), None)
        counts.add((sum(p.numel() for p in layer.parameters()), counter.get_total_flops()))
    assert len(counts) == 1


@pytest.mark.entry("10A.13")
def test_attention_costs_four_times_as_much_for_twice_the_tokens() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    costs = []
    for tokens in (8, 16):
        x = torch.randn(1, 2, tokens, 4)
        with FlopCounterMode(display=False) as counter:
            _, weights = transformer_lm.attention(x, x, x, None)
        costs.append((counter.get_total_flops(), weights.numel()))
    assert costs[1] == (4 * costs[0][0], 4 * costs[0][1])


@pytest.mark.entry("10A.09", "10A.10")
def test_self_attention_is_permutation_equivariant_until_positions_are_added() -> None:
    model = tiny(causal=False)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    x = torch.randn(2, 12, 16, generator=torch.Generator().manual_seed(2))
    for block in model.blocks:
        torch.testing.assert_close(block(x[:, order], None), block(x, None)[:, order])
    characters = torch.arange(12)[None]
    assert not torch.allclose(model(characters[:, order]), model(characters)[:, order], atol=1e-3)
    with torch.no_grad():
        model.position.zero_()
    torch.testing.assert_close(model(characters[:, order]), model(characters)[:, order])


@pytest.mark.entry("10A.11")
@pytest.mark.parametrize("causal", [True, False])
def test_what_comes_later_changes_nothing_under_the_mask(causal: bool) -> None:
    model = tiny(causal=causal)
    before = torch.arange(12)[None]
    after = before.clone()
    after[:, 7:] += 20
    same = torch.allclose(model(before)[:, :7], model(after)[:, :7], atol=1e-6)
    assert same == causal
    weights = model.blocks[0].attention.weights
    assert bool((weights.triu(1) == 0).all()) == causal


@pytest.mark.entry("10A.22", "9B.05")
def test_rms_norm_equals_the_library_and_ignores_no_mean() -> None:
    torch.manual_seed(0)
    ours, theirs = transformer_lm.RMSNorm(8), nn.RMSNorm(8, eps=1e-6)
    x = torch.randn(3, 8) + 2
    torch.testing.assert_close(ours(x), theirs(x))
    centred = x - x.mean(-1, keepdim=True)
    layer = nn.LayerNorm(8, eps=1e-6, elementwise_affine=False)
    assert not torch.allclose(ours(x), layer(x), atol=1e-2)
    torch.testing.assert_close(ours(centred), layer(x))  # LayerNorm = RMSNorm of what is centred


@pytest.mark.entry("10A.23", "9B.06")
def test_swiglu_gates_one_half_with_the_other() -> None:
    torch.manual_seed(0)
    layer, x = transformer_lm.SwiGLU(6), torch.randn(2, 6)
    expected = layer.W3(F.silu(x @ layer.W1.weight.T) * (x @ layer.W2.weight.T))
    torch.testing.assert_close(layer(x), expected)
    classic = 2 * 4 * 6 * 6
    assert sum(p.numel() for p in layer.parameters()) == classic


@pytest.mark.entry("10A.24", "9B.07")
def test_mixture_of_experts_sums_the_two_best_by_their_softmax() -> None:
    torch.manual_seed(0)
    layer, x = mixture_of_experts.MixtureOfExperts(6, 5), torch.randn(7, 6)
    y, share, probability = layer(x)
    scores = layer.gate(x)
    rest = scores.argsort(1)[:, :-2]
    weights = scores.scatter(1, rest, -torch.inf).softmax(1)
    everyone = torch.stack([expert(x) for expert in layer.experts], 1)
    torch.testing.assert_close(y, (weights[..., None] * everyone).sum(1))
    torch.testing.assert_close(share, (weights > 0).float().mean(0) / 2)
    torch.testing.assert_close(probability, scores.softmax(1).mean(0))


@pytest.mark.entry("10A.24", "9B.07")
def test_experts_multiply_the_parameters_and_not_the_work() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    work, parameters = [], []
    for experts in (4, 8):
        layer = mixture_of_experts.MixtureOfExperts(6, experts)
        with FlopCounterMode(display=False) as counter:
            layer(torch.randn(20, 6))
        gate = 2 * 20 * 6 * experts
        work.append(counter.get_total_flops() - gate)
        parameters.append(sum(p.numel() for p in layer.experts.parameters()))
    assert work[0] == work[1]
    assert parameters[1] == 2 * parameters[0]


def test_balancing_is_one_when_even_and_the_number_of_experts_when_one_does_all() -> None:
    even, one = torch.full((4,), 0.25), torch.tensor([1.0, 0, 0, 0])
    assert mixture_of_experts.balancing(even, even).item() == 1
    assert mixture_of_experts.balancing(one, one).item() == 4


@pytest.mark.entry("10A.15", "10A.17", "9B.04")
def test_post_norm_block_equals_the_library_layer() -> None:
    recipe = transformer_lm.Recipe(
        width=8, heads=2, order="post", norm="layer", feedforward="relu", depth=1
    )
    torch.manual_seed(0)
    block = transformer_lm.Block(recipe)
    for norm_first in (False, True):
        block.pre = norm_first
        layer = nn.TransformerEncoderLayer(
            8, 2, 32, dropout=0, batch_first=True, norm_first=norm_first
        )
        with torch.no_grad():
            layer.self_attn.in_proj_weight.copy_(block.attention.qkv.weight)
            layer.self_attn.in_proj_bias.copy_(block.attention.qkv.bias)
        layer.self_attn.out_proj.load_state_dict(block.attention.output.state_dict())
        layer.linear1.load_state_dict(block.mlp[0].state_dict())
        layer.linear2.load_state_dict(block.mlp[2].state_dict())
        x = torch.randn(2, 5, 8)
        torch.testing.assert_close(block(x, None), layer(x))


@pytest.mark.entry("10A.19")
def test_tied_output_is_the_embedding_itself() -> None:
    free, tied = tiny(), tiny(tied=True)
    count = [sum(p.numel() for p in model.parameters()) for model in (free, tied)]
    assert count[0] - count[1] == len(text.ALPHABET) * 16
    assert tied.output.weight is tied.embedding.weight


@pytest.mark.parametrize("name", ["char_rnn", "transformer_lm"])
def test_an_untrained_model_is_near_chance(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randint(len(text.ALPHABET), (4, 12))
    if name == "char_rnn":
        model = char_rnn.LanguageModel("lstm", 32, 1.0)
        scores, _ = model(x, model.start(4))
    else:
        scores = tiny()(x)
    loss = F.cross_entropy(scores.flatten(0, 1), x.flatten())
    assert loss.item() == pytest.approx(math.log(len(text.ALPHABET)), rel=0.05)
