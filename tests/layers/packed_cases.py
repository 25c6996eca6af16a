"""The packed attention kernels against SDPA in float64, without a GPU. Prints one JSON line a case.

`TRITON_INTERPRET` must be set before Triton is imported, so that this is a program of its own.
"""

from __future__ import annotations

import json
import sys

import torch

from legoc_runtime.layers.attention import attend_windows
from legoc_runtime.layers.kernels.packed import packed_attention

SIZES = [
    # images, windows, tokens, heads, head dim: odd counts of windows, head dims that are no power of two
    (1, 3, 1, 2, 16),
    (2, 5, 2, 1, 24),
    (1, 17, 4, 2, 72),
    (3, 1, 4, 1, 64),
    (1, 7, 9, 2, 72),
    (1, 3, 16, 1, 64),
    (1, 2, 16, 1, 128),
]


def main() -> None:
    """Compare every size in float32, one of each kernel in half precision.

    Not the matrix products in bfloat16: the interpreter multiplies its bit patterns.
    """
    torch.manual_seed(0)
    for size in SIZES:
        report(size, torch.float32)
    report((1, 5, 4, 1, 72), torch.bfloat16)
    report((1, 5, 4, 1, 72), torch.float16)
    report((1, 3, 16, 1, 64), torch.float16)


def report(size: tuple[int, int, int, int, int], dtype: torch.dtype) -> None:
    """Print the largest errors of the result and of the gradient."""
    n, windows, tokens, heads, dim = size
    qkv = torch.randn(n, windows, tokens, 3 * heads * dim).to(dtype).requires_grad_()
    # a gradient that is not contiguous, as a transposed product would hand one down
    grad = torch.randn(n, windows, heads * dim, tokens).to(dtype).transpose(2, 3)
    out = packed_attention(qkv, heads)
    (grad_qkv,) = torch.autograd.grad(out, qkv, grad)
    exact_qkv = qkv.detach().double().requires_grad_()
    exact = attend_windows(exact_qkv, heads, "sdpa")
    (exact_grad,) = torch.autograd.grad(exact, exact_qkv, grad.double())
    errors = {
        "case": f"{list(size)} {dtype}",
        "dtype": str(dtype).removeprefix("torch."),
        "types": [str(out.dtype), str(grad_qkv.dtype)],
        "forward": float((out.double() - exact).detach().abs().max()),
        "backward": float((grad_qkv.double() - exact_grad).abs().max()),
    }
    json.dump(errors, sys.stdout)
    print()


main()
