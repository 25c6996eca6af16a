"""The packed attention kernels as operations: `torch.compile` and `torch.export` see the kernels inside.

Importing this module needs Triton.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from legoc_runtime.layers.kernels import packed_products, packed_tokens

MAX_TOKENS = 16
MAX_HEAD_DIM = 256

_library: Any = torch.library  # triton_op is only partly typed


class Launch(NamedTuple):
    """How a kernel is launched.

    Attributes:
        kernel: the kernel.
        block: windows of a program.
        warps: warps of a program.
        padded: head dim rounded up to a power of two.
    """

    kernel: Any
    block: int
    warps: int
    padded: int


def forward_launch(tokens: int, head_dim: int, element_bytes: int) -> Launch:
    """The forward kernel for windows of `tokens` tokens.

    Blocks are as large as registers hold without spilling, read off the machine code for compute capability 9.0; 8
    windows and 2 warps for 4 tokens and 72 features are what a prototype on an H100 took. These kernels were
    never timed (docs/unverified.md).
    """
    padded = _padded(head_dim)
    if tokens <= packed_tokens.MAX_TOKENS:
        return Launch(packed_tokens.attend_tokens, _fit(1024, padded, 32), 2, padded)
    return Launch(packed_products.attend_products, _fit(1024 // element_bytes, padded, 8 // element_bytes), 4, padded)


def backward_launch(tokens: int, head_dim: int, element_bytes: int) -> Launch:
    """The backward kernel for windows of `tokens` tokens; it holds twice as much as the forward one."""
    padded = _padded(head_dim)
    if tokens <= packed_tokens.MAX_TOKENS:
        return Launch(packed_tokens.attend_tokens_backward, _fit(512, padded, 16), 2, padded)
    warps = 8 if padded * element_bytes >= 512 else 4
    return Launch(
        packed_products.attend_products_backward, _fit(512 // element_bytes, padded, 8 // element_bytes), warps, padded
    )


def packed_takes(qkv: Tensor, heads: int) -> bool:
    """Whether the kernels take windows qkv [N, W, L, 3*D]: 1 to 16 tokens, head dims up to 256, no float64."""
    narrow = qkv.dtype in (torch.float32, torch.bfloat16, torch.float16)
    return narrow and qkv.shape[2] <= MAX_TOKENS and qkv.shape[3] // (3 * heads) <= MAX_HEAD_DIM


@_library.triton_op("legoc::packed_attention", mutates_args={})
def packed_attention(qkv: Tensor, heads: int) -> Tensor:
    """softmax(q k^T / sqrt(d)) v within each window, differentiable once.

    Args:
        qkv: [N, W, L, 3*D], laid out (q k v, heads, d); any number of windows. See `packed_takes`.
        heads: number of heads; divides D.

    Returns:
        [N, W, L, D], computed in float32, in the type of qkv.
    """
    n, windows, tokens, features = qkv.shape
    out = qkv.new_empty(n, windows, tokens, features // 3)
    _launch(forward_launch(tokens, features // (3 * heads), qkv.element_size()), (qkv.contiguous(), out), qkv, heads)
    return out


@_library.triton_op("legoc::packed_attention_backward", mutates_args={})
def packed_attention_backward(qkv: Tensor, grad: Tensor, heads: int) -> Tensor:
    """The gradient of qkv [N, W, L, 3*D] from the gradient of the result [N, W, L, D]; the weights are made again."""
    qkv = qkv.contiguous()
    tokens, features = qkv.shape[2:]
    grad_qkv = torch.empty_like(qkv)
    launch = backward_launch(tokens, features // (3 * heads), qkv.element_size())
    _launch(launch, (qkv, grad.contiguous(), grad_qkv), qkv, heads)
    return grad_qkv


def _launch(launch: Launch, tensors: tuple[Tensor, ...], qkv: Tensor, heads: int) -> None:
    n, windows, tokens, features = qkv.shape
    count, dim = n * windows, features // (3 * heads)
    # one axis, since only the first may have more than 65,535 programs
    grid = ((count + launch.block - 1) // launch.block * heads,)
    _library.wrap_triton(launch.kernel)[grid](
        *tensors,
        count=count,
        scale=dim**-0.5,
        length=tokens,
        heads=heads,
        dim=dim,
        padded=launch.padded,
        block=launch.block,
        num_warps=launch.warps,
    )


def _keep(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
    qkv, ctx.heads = inputs
    ctx.save_for_backward(qkv)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    (qkv,) = ctx.saved_tensors
    return packed_attention_backward(qkv, grad, ctx.heads), None


packed_attention.register_autograd(_differentiate, setup_context=_keep)


def _padded(head_dim: int) -> int:
    return max(16, 1 << (head_dim - 1).bit_length())


def _fit(elements: int, padded: int, most: int) -> int:
    """Windows of `padded` features that fit into `elements`, 1 to `most`."""
    return max(1, min(most, elements // padded))
