"""Which form of attention runs where: one rule, read by the backends and printed by the plan."""

from __future__ import annotations

from typing import Literal

Device = Literal["cpu", "cuda"]
"""Kind of device: what the rules of kernels tell apart."""

AttentionForm = Literal["sdpa", "products"]
"""How softmax(q k^T / sqrt(d)) v of each window is computed; all forms agree within rounding.

`sdpa`: PyTorch's kernel, one matrix product a window and head. `products`: element-wise products and sums, for a
compiler to fuse.
"""

SHORT_WINDOW = 8
"""Longest window, in tokens, for which element-wise products beat a matrix kernel once fused.

Measured on two CPU cores (benchmarks/2026-11-23_short-windows_2-core-cpu.md): at 4 tokens they do, at 16 they do not.
"""


def attention_form(tokens: int, *, device: Device, fused: bool, training: bool = False) -> AttentionForm:
    """The form for windows of `tokens` tokens.

    Args:
        tokens: tokens of a window.
        device: where it runs.
        fused: whether a compiler fuses element-wise operations; unfused, `products` would write [W, heads, L, L, d].
        training: whether a backward pass follows.
    """
    return _choose(tokens, device, fused, training)[0]


def why(tokens: int, *, device: Device, fused: bool, training: bool = False) -> str:
    """The same choice as one sentence, for the plan of a build."""
    form, reason = _choose(tokens, device, fused, training)
    return f"{form}: {reason}"


def _choose(tokens: int, device: Device, fused: bool, training: bool) -> tuple[AttentionForm, str]:
    window = f"windows of {tokens} token{'s' if tokens > 1 else ''}"
    step = "training" if training else "sampling"
    if not fused:
        return "sdpa", f"nothing fuses element-wise products of {window} in eager {step}"
    if tokens <= SHORT_WINDOW:
        return "products", f"{window} are short, a compiler fuses their products on {device} (up to {SHORT_WINDOW})"
    return "sdpa", f"{window} are long enough for a matrix kernel on {device} (from {SHORT_WINDOW + 1})"
