"""Which form of attention runs where: one rule, read by the backends and printed by the plan."""

from __future__ import annotations

from typing import Literal

Device = Literal["cpu", "cuda"]
"""Kind of device: what the rules of kernels tell apart."""

AttentionForm = Literal["sdpa", "products", "packed"]
"""How softmax(q k^T / sqrt(d)) v of each window is computed; all forms agree within rounding.

`sdpa`: PyTorch's kernel, one matrix product a window and head. `products`: element-wise products and sums, for a
compiler to fuse. `packed`: our own CUDA kernels, several windows a program; head dims over 256 and float64, which they
do not take, go through SDPA.
"""

MAX_PACKED_WINDOW = 16
"""Longest window, in tokens, that the packed kernels take."""

SHORT_WINDOW = 12
"""Longest window, in tokens, for which element-wise products beat a matrix kernel once fused, on a CPU.

Measured (benchmarks/2026-11-23_short-windows-key-by-key_2-core-cpu.md): at 12 tokens they take half of the time or
somewhat more, at 16 as much or more. With a backward pass they cross at the same length.
"""


def attention_form(
    tokens: int, *, device: Device, fused: bool, training: bool = False, kernels: bool = True
) -> AttentionForm:
    """The form for windows of `tokens` tokens.

    Args:
        tokens: tokens of a window.
        device: where it runs.
        fused: whether a compiler fuses element-wise operations; unfused, `products` would write [W, heads, L, L, d].
        training: whether a backward pass follows; the form is the same, and the sentence of `why` says which it is.
        kernels: whether our own CUDA kernels can be compiled; Triton comes with PyTorch's CUDA builds for Linux.
    """
    return _choose(tokens, device, fused, training, kernels)[0]


def why(tokens: int, *, device: Device, fused: bool, training: bool = False, kernels: bool = True) -> str:
    """The same choice as one sentence, for the plan of a build."""
    form, reason = _choose(tokens, device, fused, training, kernels)
    return f"{form}: {reason}"


def _choose(tokens: int, device: Device, fused: bool, training: bool, kernels: bool) -> tuple[AttentionForm, str]:
    window = f"windows of {tokens} token{'s' if tokens > 1 else ''}"
    step = "training" if training else "sampling"
    match device:
        case "cuda" if tokens > MAX_PACKED_WINDOW:
            return "sdpa", f"{window} fill PyTorch's kernels (from {MAX_PACKED_WINDOW + 1})"
        case "cuda" if kernels:
            return "packed", f"{window} leave PyTorch's kernels mostly empty (up to {MAX_PACKED_WINDOW})"
        case "cuda":
            return "sdpa", f"{window} would take the packed kernels, but there is no Triton"
        case "cpu" if not fused:
            return "sdpa", f"nothing fuses element-wise products of {window} in eager {step}"
        case "cpu" if tokens <= SHORT_WINDOW:
            return "products", f"{window} are short, a compiler fuses their products (up to {SHORT_WINDOW})"
        case "cpu":
            return "sdpa", f"{window} are long enough for a matrix kernel (from {SHORT_WINDOW + 1})"
