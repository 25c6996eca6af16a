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
    match form:
        case "sdpa":
            return _sdpa(qkv, heads)
        case "products":
            return _products(qkv, heads)
        case _:
            assert_never(form)


def _sdpa(qkv: Tensor, heads: int) -> Tensor:
    n, windows, length, features = qkv.shape
    width = features // 3
    split = qkv.reshape(n * windows, length, 3, heads, width // heads)
    q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
    if q.shape[0] <= MAX_SDPA_WINDOWS:
        mixed = scaled_dot_product_attention(q, k, v)
    else:
        starts = range(0, q.shape[0], MAX_SDPA_WINDOWS)
        chunks = [slice(start, start + MAX_SDPA_WINDOWS) for start in starts]
        mixed = torch.cat([scaled_dot_product_attention(q[chunk], k[chunk], v[chunk]) for chunk in chunks])
    return mixed.transpose(1, 2).reshape(n, windows, length, width)


def _products(qkv: Tensor, heads: int) -> Tensor:
    """Key by key, in the layout of the projection, which compiles to fewer and longer loops than [L, L, d] at once.

    Q is scaled first: a product right before a softmax makes inductor guard it against infinities, a loop of its own
    that takes longer than the rest. Half precision is computed in float32, as SDPA does.
    """
    n, windows, length, features = qkv.shape
    split = qkv.reshape(n, windows, length, 3, heads, features // (3 * heads))
    wide = split.float() if qkv.dtype in (torch.float16, torch.bfloat16) else split
    q, k, v = wide.unbind(3)
    q = q * q.shape[-1] ** -0.5
    logits = torch.stack([(q * k[:, :, j, None]).sum(-1) for j in range(length)])
    weights = logits.softmax(dim=0)
    mixed = weights[0][..., None] * v[:, :, 0, None]
    for j in range(1, length):
        mixed = mixed + weights[j][..., None] * v[:, :, j, None]
    return mixed.reshape(n, windows, length, features // 3).to(qkv.dtype)
