"""Attention inside windows. Several forms of one formula; the backend chooses which one runs, not the module."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from legoc_runtime.contract.attention_rule import AttentionForm
from legoc_runtime.layers.kernels import kernels_lack

if kernels_lack() is None:
    from legoc_runtime.layers.kernels.packed import packed_attention, packed_takes
else:
    packed_attention = packed_takes = None

MAX_SDPA_WINDOWS = 65_535
"""More sequences than this in one call break CUDA's flash and memory-efficient kernels (pytorch#146704, #142228)."""


def attend_windows(qkv: Tensor, heads: int, form: AttentionForm) -> Tensor:
    """softmax(q k^T / sqrt(d)) v within each window.

    Args:
        qkv: [N, W, L, 3*D], laid out (q k v, heads, d).
        heads: number of heads; divides D.
        form: how it is computed; the result agrees within rounding.

    Returns:
        [N, W, L, D].

    Raises:
        ValueError: `packed` was asked for where its kernels cannot be compiled.
    """
    if form == "packed":
        if packed_attention is None or packed_takes is None:
            raise ValueError(f"there are no packed attention kernels here: {kernels_lack()}")
        if packed_takes(qkv, heads):
            return packed_attention(qkv, heads)
        form = "sdpa"
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
