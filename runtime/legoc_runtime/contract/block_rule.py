"""How a Transformer block runs under the inductor backend: one rule, read by the backend and printed by the plan."""

from __future__ import annotations

from typing import Literal

from legoc_runtime.contract.attention_rule import Device

BlockForm = Literal["compiled", "avx512"]
"""`compiled`: library products, and what the compiler fuses between them. `avx512`: one kernel of our own from tokens
to tokens, attention and GELU included; the same formula within rounding."""

LANES = 16
"""Float32 numbers of an AVX-512 register."""


def block_form(
    width: int,
    tokens: int,
    *,
    device: Device,
    training: bool = False,
    dtype: str = "float32",
    lack: str | None = None,
) -> BlockForm:
    """The form of a block.

    Args:
        width: features of a token.
        tokens: tokens of a window.
        device: where it runs.
        training: whether a backward pass follows.
        dtype: type of weights and arithmetic.
        lack: what is missing here for the block of our own, if anything.
    """
    return _choose(width, tokens, device, training, dtype, lack)[0]


def why_block(
    width: int,
    tokens: int,
    *,
    device: Device,
    training: bool = False,
    dtype: str = "float32",
    lack: str | None = None,
) -> str:
    """The same choice as one sentence, for the plan of a build."""
    form, reason = _choose(width, tokens, device, training, dtype, lack)
    return f"{form}: {reason}"


def _choose(
    width: int, tokens: int, device: Device, training: bool, dtype: str, lack: str | None
) -> tuple[BlockForm, str]:
    if device == "cuda":
        return "compiled", "the kernel of our own is for CPUs"
    if training:
        return "compiled", "the kernel of our own has no backward pass"
    if dtype != "float32":
        return "compiled", f"the kernel of our own computes in float32, not {dtype}"
    if width % LANES:
        return "compiled", f"{width} features of a token do not fill registers of {LANES}"
    if tokens % LANES and LANES % tokens:
        return "compiled", f"windows of {tokens} tokens neither divide {LANES} lanes nor fill them"
    if lack is not None:
        return "compiled", lack
    return (
        "avx512",
        "one kernel of our own for all of it, in float32, where the processor has AVX-512; elsewhere compiled",
    )
