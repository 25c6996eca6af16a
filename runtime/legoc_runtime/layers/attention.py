"""Attention inside windows. Several forms of one formula; the backend chooses which one runs, not the module."""

from __future__ import annotations

from typing import Literal, assert_never

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

AttentionForm = Literal["sdpa", "products"]

MAX_SDPA_WINDOWS = 65_535
"""More sequences than this in one call break CUDA's flash and memory-efficient kernels (pytorch#146704, #142228)."""

SHORT_WINDOW = 8
"""Longest window, in tokens, for which element-wise products beat a matrix kernel once fused.

Measured on two CPU cores (benchmarks/2026-11-23_short-windows_2-core-cpu.md): at 4 tokens they do, at 16 they do not.
"""


def attention_form(tokens: int, *, fused: bool) -> AttentionForm:
    """The form for windows of `tokens` tokens: `products` for short windows when a compiler fuses it, else `sdpa`.

    Unfused, `products` would write [W, heads, L, L, d] to memory.
    """
    return "products" if fused and tokens <= SHORT_WINDOW else "sdpa"


def attend_windows(qkv: Tensor, heads: int, form: AttentionForm) -> Tensor:
    """softmax(q k^T / sqrt(d)) v within each window.

    Args:
        qkv: [N, W, L, 3*D], laid out (q k v, heads, d).
        heads: number of heads; divides D.
        form: how it is computed; the result agrees within rounding.

    Returns:
        [N, W, L, D].
    """
    n, windows, length, features = qkv.shape
    width = features // 3
    split = qkv.reshape(n * windows, length, 3, heads, width // heads)
    q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
    match form:
        case "sdpa":
            mixed = _sdpa(q, k, v)
        case "products":
            mixed = _products(q, k, v)
        case _:
            assert_never(form)
    return mixed.transpose(1, 2).reshape(n, windows, length, width)


def _sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    if q.shape[0] <= MAX_SDPA_WINDOWS:
        return scaled_dot_product_attention(q, k, v)
    starts = range(0, q.shape[0], MAX_SDPA_WINDOWS)
    chunks = [slice(start, start + MAX_SDPA_WINDOWS) for start in starts]
    return torch.cat([scaled_dot_product_attention(q[chunk], k[chunk], v[chunk]) for chunk in chunks])


def _products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    logits = (q[:, :, :, None] * k[:, :, None]).sum(-1) * q.shape[-1] ** -0.5
    weights = logits.softmax(dim=-1)
    return (weights[..., None] * v[:, :, None]).sum(-2)
