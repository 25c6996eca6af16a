"""Attention inside windows of 5 to 16 tokens as Triton kernels: batched matrix products over several windows of a head.

Same arguments and the same traffic as `packed_tokens`. Tokens are padded to 16, the smallest matrix product of a tensor
core; a tile is [block, 16, padded].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from legoc_runtime.layers.kernels.language import tl, triton
else:
    import triton
    import triton.language as tl


@triton.jit
def _places(
    count: tl.tensor,
    stride: tl.tensor,
    length: tl.constexpr,
    heads: tl.constexpr,
    dim: tl.constexpr,
    padded: tl.constexpr,
    block: tl.constexpr,
):
    """Offsets [block, 16, padded] of this program's tokens in rows of `stride`, and which of them exist."""
    program = tl.program_id(0)
    window = (program // heads).to(tl.int64) * block + tl.arange(0, block)
    token, lane = tl.arange(0, 16), tl.arange(0, padded)
    row = window[:, None, None] * length + token[None, :, None]
    column = (program % heads) * dim + lane[None, None, :]
    there = (window < count)[:, None, None] & (token < length)[None, :, None] & (lane < dim)[None, None, :]
    return row * stride + column, there


@triton.jit
def _multiply(a: tl.tensor, b: tl.tensor):
    """The product of every window in float32; float32 factors are not rounded to TF32."""
    return tl.dot(a, b, input_precision="ieee")


@triton.jit
def _turned(tile: tl.tensor):
    return tl.permute(tile, (0, 2, 1))


@triton.jit
def _softmax(logits: tl.tensor, length: tl.constexpr):
    """Over the keys that exist; [block, 16, 16]."""
    exists = (tl.arange(0, 16) < length)[None, None, :]
    logits = tl.where(exists, logits, -float("inf"))
    raised = tl.exp(logits - tl.max(logits, axis=2)[:, :, None])
    return raised / tl.sum(raised, axis=2)[:, :, None]


@triton.jit
def attend_products(
    qkv: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    scale: tl.tensor,
    length: tl.constexpr,
    heads: tl.constexpr,
    dim: tl.constexpr,
    padded: tl.constexpr,
    block: tl.constexpr,
):
    """Attention of qkv [count, length, 3, heads, dim] to out [count, length, heads, dim]."""
    width: tl.constexpr = heads * dim
    places, there = _places(count, 3 * width, length, heads, dim, padded, block)
    query = tl.load(qkv + places, mask=there, other=0.0)
    key = tl.load(qkv + width + places, mask=there, other=0.0)
    weights = _softmax(_multiply(query, _turned(key)) * scale, length)
    value = tl.load(qkv + 2 * width + places, mask=there, other=0.0)
    mixed = _multiply(weights.to(value.dtype), value)
    places, there = _places(count, width, length, heads, dim, padded, block)
    tl.store(out + places, mixed.to(value.dtype), mask=there)


@triton.jit
def attend_products_backward(
    qkv: tl.tensor,
    grad_out: tl.tensor,
    grad_qkv: tl.tensor,
    count: tl.tensor,
    scale: tl.tensor,
    length: tl.constexpr,
    heads: tl.constexpr,
    dim: tl.constexpr,
    padded: tl.constexpr,
    block: tl.constexpr,
):
    """The gradient of qkv [count, length, 3, heads, dim] from that of out [count, length, heads, dim].

    With P the weights and dP = dO V^T: dS = P (dP - sum(P dP)), dQ = dS K, dK = dS^T Q, dV = P^T dO.
    """
    width: tl.constexpr = heads * dim
    places, there = _places(count, width, length, heads, dim, padded, block)
    grad = tl.load(grad_out + places, mask=there, other=0.0)
    places, there = _places(count, 3 * width, length, heads, dim, padded, block)
    query = tl.load(qkv + places, mask=there, other=0.0)
    key = tl.load(qkv + width + places, mask=there, other=0.0)
    value = tl.load(qkv + 2 * width + places, mask=there, other=0.0)
    weights = _softmax(_multiply(query, _turned(key)) * scale, length)
    grad_value = _multiply(_turned(weights).to(query.dtype), grad)
    tl.store(grad_qkv + 2 * width + places, grad_value.to(query.dtype), mask=there)
    products = _multiply(grad, _turned(value))
    logits = weights * (products - tl.sum(weights * products, axis=2)[:, :, None]) * scale
    tl.store(grad_qkv + places, _multiply(logits.to(query.dtype), key).to(query.dtype), mask=there)
    grad_key = _multiply(_turned(logits).to(query.dtype), query)
    tl.store(grad_qkv + width + places, grad_key.to(query.dtype), mask=there)
