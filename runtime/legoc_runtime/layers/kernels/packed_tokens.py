"""Attention inside windows of up to 4 tokens as Triton kernels: several windows of one head a program.

A stock kernel gives every window and head a program of its own, and most of its tile stays empty. Here a program takes
a block of windows; every token is a tile [windows, head dim] of its own and the products are sums over it. Everything
is read once, in the layout of the projection, accumulated in float32 and written once; the backward pass computes the
weights again.

Importing this module needs Triton, whose kernels are a language of their own: `padded` is the head dim rounded up to a
power of two, `block` the windows of a program, tuples hold one tile a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from legoc_runtime.layers.kernels.language import tl, triton
else:
    import triton
    import triton.language as tl

MAX_TOKENS = 4
"""Above this, matrix products need fewer registers and compile in a tenth of the time."""


@triton.jit
def windows_of_program(count: tl.tensor, heads: tl.constexpr, block: tl.constexpr):
    """The windows [block] and the head of this program, and which of the windows exist; heads are neighbours."""
    program = tl.program_id(0)
    windows = (program // heads).to(tl.int64) * block + tl.arange(0, block)
    return windows, program % heads, windows < count


@triton.jit
def _load(
    base: tl.tensor, rows: tl.tensor, there: tl.tensor, stride: tl.tensor, dim: tl.constexpr, padded: tl.constexpr
):
    """One token of each window as a tile [block, padded] in float32."""
    lane = tl.arange(0, padded)
    mask = there[:, None] & (lane < dim)[None, :]
    return tl.load(base + rows[:, None] * stride + lane[None, :], mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _store(
    base: tl.tensor,
    rows: tl.tensor,
    there: tl.tensor,
    stride: tl.tensor,
    tile: tl.tensor,
    dim: tl.constexpr,
    padded: tl.constexpr,
):
    """Write one token of each window."""
    lane = tl.arange(0, padded)
    mask = there[:, None] & (lane < dim)[None, :]
    tl.store(base + rows[:, None] * stride + lane[None, :], tile.to(base.dtype.element_ty), mask=mask)


@triton.jit
def _tokens(
    base: tl.tensor,
    windows: tl.tensor,
    there: tl.tensor,
    stride: tl.tensor,
    length: tl.constexpr,
    dim: tl.constexpr,
    padded: tl.constexpr,
):
    """Each token of the windows as a tile."""
    tiles = ()
    for i in tl.static_range(length):
        tiles += (_load(base, windows * length + i, there, stride, dim, padded),)
    return tiles


@triton.jit
def _weights(query: tl.tensor, keys: tl.tensor, scale: tl.tensor, length: tl.constexpr):
    """softmax(q k^T scale) of one query: `length` weights [block]."""
    logits = ()
    for j in tl.static_range(length):
        logits += (tl.sum(query * keys[j], axis=1) * scale,)
    return _softmax(logits, length)


@triton.jit
def _softmax(logits: tl.tensor, length: tl.constexpr):
    top = logits[0]
    for j in tl.static_range(1, length):
        top = tl.maximum(top, logits[j])
    raised = ()
    total = tl.zeros_like(top)
    for j in tl.static_range(length):
        raised += (tl.exp(logits[j] - top),)
        total += raised[j]
    weights = ()
    for j in tl.static_range(length):
        weights += (raised[j] / total,)
    return weights


@triton.jit
def _mix(weights: tl.tensor, tiles: tl.tensor, length: tl.constexpr):
    """The sum of tiles [block, padded], each times its weight [block]."""
    mixed = weights[0][:, None] * tiles[0]
    for j in tl.static_range(1, length):
        mixed += weights[j][:, None] * tiles[j]
    return mixed


@triton.jit
def attend_tokens(
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
    windows, head, there = windows_of_program(count, heads, block)
    q, o = qkv + head * dim, out + head * dim
    keys = _tokens(q + width, windows, there, 3 * width, length, dim, padded)
    values = _tokens(q + 2 * width, windows, there, 3 * width, length, dim, padded)
    for i in tl.static_range(length):
        rows = windows * length + i
        weights = _weights(_load(q, rows, there, 3 * width, dim, padded), keys, scale, length)
        _store(o, rows, there, width, _mix(weights, values, length), dim, padded)


@triton.jit
def attend_tokens_backward(
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
    windows, head, there = windows_of_program(count, heads, block)
    q, g, out = qkv + head * dim, grad_qkv + head * dim, grad_out + head * dim
    keys = _tokens(q + width, windows, there, 3 * width, length, dim, padded)
    values = _tokens(q + 2 * width, windows, there, 3 * width, length, dim, padded)
    grad_keys, grad_values = (), ()
    for i in tl.static_range(length):
        rows = windows * length + i
        query = _load(q, rows, there, 3 * width, dim, padded)
        grad = _load(out, rows, there, width, dim, padded)
        weights = _weights(query, keys, scale, length)
        products, mean = (), tl.zeros_like(weights[0])
        for j in tl.static_range(length):
            products += (tl.sum(grad * values[j], axis=1),)
            mean += weights[j] * products[j]
        logits = ()
        for j in tl.static_range(length):
            logits += (weights[j] * (products[j] - mean) * scale,)
        _store(g, rows, there, 3 * width, _mix(logits, keys, length), dim, padded)
        grad_keys = _add(grad_keys, logits, query, i, length)
        grad_values = _add(grad_values, weights, grad, i, length)
    for j in tl.static_range(length):
        rows = windows * length + j
        _store(g + width, rows, there, 3 * width, grad_keys[j], dim, padded)
        _store(g + 2 * width, rows, there, 3 * width, grad_values[j], dim, padded)


@triton.jit
def _add(sums: tl.tensor, weights: tl.tensor, tile: tl.tensor, i: tl.constexpr, length: tl.constexpr):
    """Add tile times each weight to the sum of that weight; the first time there are no sums."""
    added = ()
    for j in tl.static_range(length):
        term = weights[j][:, None] * tile
        added += (term if i == 0 else sums[j] + term,)
    return added
