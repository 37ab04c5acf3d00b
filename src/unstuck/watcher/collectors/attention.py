"""Attention maps and tokens by layer: how sharp the maps are, whom they look at, what is alike.

Maps are read from what `scaled_dot_product_attention` is given (a few heads and queries are
computed once more) and from softmaxes inside modules named after attention.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unstuck.watcher.collector import Collector, Watched
from unstuck.watcher.rows import unit

ATTENTION_NAME = re.compile(r"att|mha|multi_?head", re.IGNORECASE)
MOST_SAMPLES = 3  # whose maps are read
MOST_HEADS = 4
MOST_QUERIES = 16
MOST_KEYS = 2048
MOST_CALLS = 64  # of one step
MASKED = -1e4  # scores below it are masks: people add -1e9, or the lowest number of a type
TOKEN_SAMPLES = 3
MOST_TOKENS = 32


class Attention(Collector):
    """`attention/<layer>/...` by attention layer, `tokens/<block>/...` by what holds one."""

    functions = (
        "torch.nn.functional.scaled_dot_product_attention",
        "torch.nn.functional.softmax",
        "torch.softmax",
        "torch.Tensor.softmax",
    )

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._running: list[tuple[str, nn.Module]] = []
        self._blocks: dict[str, bool] = {}  # modules with an attention layer -> sequence first
        self._seen: set[str] = set()
        self._last: tuple[str, Tensor] | None = None

    def before_forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], outermost: bool
    ) -> None:
        if outermost:
            self._running, self._seen, self._last = [], set(), None
        self._running.append((name, module))

    def forward(
        self, name: str, module: nn.Module, args: tuple[Any, ...], output: Any, outermost: bool
    ) -> None:
        if self._running and self._running[-1][0] == name:
            self._running.pop()
        if name in self._blocks:
            if not self._tokens_seen:
                self._read_tokens(f"{name}.input", args[0] if args else None, self._blocks[name])
            self._tokens_seen = not outermost
            self._read_tokens(name, output, self._blocks[name])
        if outermost:
            self._tokens_seen = False
            self._last = None

    _tokens_seen = False  # of a block of this forward pass

    def called(self, function: str, args: tuple[Any, ...], options: Any, result: Any) -> None:
        if not self._running or not torch.is_grad_enabled() or len(self._seen) >= MOST_CALLS:
            return
        place = self._place(any_module=function == "scaled_dot_product_attention")
        if place is None or place in self._seen:
            return
        if function == "scaled_dot_product_attention":
            maps = _recomputed(args, options)
        else:
            maps = _softmaxed(args, options, result)
        if maps is not None:
            self._seen.add(place)
            self._read_maps(place, *maps)

    def _place(self, *, any_module: bool) -> str | None:
        """The attention layer that runs; the module around it is known as a block from now on."""
        for i in reversed(range(len(self._running))):
            name, module = self._running[i]
            last = name.rsplit(".", 1)[-1]
            named = i > 0 and ATTENTION_NAME.search(f"{last} {type(module).__name__}")
            if any_module or named:
                if i > 1 or (i == 1 and len(self._running[0][0].split(".")) > 1):
                    first = getattr(module, "batch_first", True) is False
                    self._blocks.setdefault(self._running[i - 1][0], first)
                return name
        return None

    def _read_maps(self, place: str, maps: Tensor, allowed: Tensor) -> None:
        """`maps` (m, queries, keys) and how many keys each query may look at (m, queries)."""
        log_allowed = allowed.float().log()
        entropy = -(maps * maps.clamp_min(1e-30).log()).sum(-1)
        values = [
            entropy.sum() / log_allowed.sum().clamp_min(1e-6),
            maps.mean(dim=1).amax(dim=-1).mean(),
        ]
        keys = ["entropy", "concentration"]
        if self._last is not None and self._last[1].shape == maps.shape:
            values.append(torch.cosine_similarity(maps, self._last[1], dim=-1).mean())
            keys.append("likeness")
        self._last = place, maps
        self.hold(values, [f"attention/{place}/{key}" for key in keys])

    def _read_tokens(self, place: str, value: Any, sequence_first: bool) -> None:
        value = value[0] if isinstance(value, tuple) and value else value
        if not isinstance(value, Tensor) or value.ndim != 3 or not value.is_floating_point():
            return
        tokens = value.detach().transpose(0, 1) if sequence_first else value.detach()
        tokens = tokens[:TOKEN_SAMPLES, :: -(-tokens.shape[1] // MOST_TOKENS)].float()
        if tokens.shape[1] < 2:
            return
        self.hold([token_likeness(tokens)], [f"tokens/{place}/similarity"])


def token_likeness(tokens: Tensor) -> Tensor:
    """Mean cosine between different tokens (samples, tokens, width) of one sample."""
    n = tokens.shape[1]
    u = unit(tokens.flatten(0, 1)).view_as(tokens)
    pairs = u.sum(dim=1).square().sum(dim=1) - u.square().sum(dim=(1, 2))  # each pair twice
    return pairs.mean() / (n * (n - 1))


def _recomputed(args: Sequence[Any], options: Any) -> tuple[Tensor, Tensor] | None:
    """Some of the maps of scaled_dot_product_attention(query, key, value, ...)."""
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale")
    given = dict(zip(names, args, strict=False)) | dict(options)
    q, k = given.get("query"), given.get("key")
    if not isinstance(q, Tensor) or not isinstance(k, Tensor) or q.ndim < 3:
        return None
    if q.shape[:-2] != k.shape[:-2] or not 2 <= k.shape[-2] <= MOST_KEYS:
        return None
    every = -(-q.shape[-2] // MOST_QUERIES)
    scale = given.get("scale") or 1 / math.sqrt(q.shape[-1])
    scores = _some(q)[:, ::every] @ _some(k).transpose(1, 2) * scale
    mask = given.get("attn_mask")
    if isinstance(mask, Tensor):
        part = _some(mask.detach().expand(*q.shape[:-1], k.shape[-2]))[:, ::every]
        scores = scores.masked_fill(part == 0, -math.inf) if _is_bool(mask) else scores + part
    elif given.get("is_causal"):
        position = torch.arange(0, q.shape[-2], every, device=q.device)
        later = torch.arange(k.shape[-2], device=q.device)[None] > position[:, None]
        scores = scores.masked_fill(later, -math.inf)
    return scores.softmax(-1).nan_to_num(), _permitted(scores)


def _softmaxed(args: Sequence[Any], options: Any, result: Any) -> tuple[Tensor, Tensor] | None:
    """Some of the maps a softmax over the last dimension gave."""
    scores = args[0] if args else options.get("input")
    dim = args[1] if len(args) > 1 else options.get("dim")
    if not isinstance(result, Tensor) or not isinstance(scores, Tensor) or result.ndim < 2:
        return None
    if dim not in (-1, result.ndim - 1) or not 2 <= result.shape[-1] <= MOST_KEYS:
        return None
    if result.ndim == 2:  # one query a sample
        result, scores = result[:, None], scores[:, None]
    every = -(-result.shape[-2] // MOST_QUERIES)
    return _some(result)[:, ::every].nan_to_num(), _permitted(_some(scores)[:, ::every])


def _some(x: Tensor) -> Tensor:
    """Of (..., n, d) a few samples and heads, as (maps, n, d)."""
    for dim in range(x.ndim - 2):
        most = MOST_SAMPLES if dim == 0 else MOST_HEADS
        x = x[(slice(None),) * dim + (slice(None, None, -(-x.shape[dim] // most)),)]
    few: Tensor = x.detach().reshape(-1, *x.shape[-2:]).float()
    return few


def _permitted(scores: Tensor) -> Tensor:
    return (scores > MASKED).sum(-1).clamp_min(1)


def _is_bool(mask: Tensor) -> bool:
    return mask.dtype == torch.bool
