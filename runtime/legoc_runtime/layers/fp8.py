"""Matrix products of 8-bit floats with a scale for each row (float8_e4m3fn: 4 bits of exponent, 3 of mantissa).

A row is divided by its largest magnitude and rounded; the product is accumulated in float32 and scaled back by both
rows' scales. Rounding to 3 bits of mantissa is an error of about 2.6% (root mean square) of each factor, 3.7% of a
product, whatever its length. On CUDA one library call; elsewhere the same numbers from float32 products, slowly.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

LARGEST = 448.0
"""The largest finite float8_e4m3fn."""

ALIGNMENT = 16
"""CUDA's products take rows of multiples of this many values."""

TOLERANCE = 0.045
"""Bound on |fp8 - exact| / |exact|, both root mean squares, for a product of values without extreme outliers."""

_torch: Any = torch  # `_scaled_mm` is not typed


def quantise_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows in 8 bits, and the scale of each.

    Args:
        x: [..., K].

    Returns:
        float8_e4m3fn [..., K] and float32 [..., 1], whose product is close to x. A row of zeros has scale 1.
    """
    wide = x.float()
    largest = wide.abs().amax(dim=-1, keepdim=True)
    scale = torch.where(largest > 0, largest / LARGEST, 1.0)
    return (wide / scale).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn), scale


def linear_fp8(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """`x weight^T + bias` with 8-bit factors; x is quantised row by row as it comes.

    Args:
        x: [..., K]; bfloat16 on CUDA.
        weight: float8_e4m3fn [O, K], from `quantise_rows`.
        scale: float32 [O, 1], the scales of its rows.
        bias: [O], in the type of x.

    Returns:
        [..., O], in the type of x. Without a derivative.
    """
    rows, row_scale = quantise_rows(x.reshape(-1, x.shape[-1]))
    if x.device.type == "cuda":
        result: Tensor = _torch._scaled_mm(
            rows, weight.t(), scale_a=row_scale, scale_b=scale.t(), bias=bias, out_dtype=x.dtype, use_fast_accum=False
        )
    else:
        product = linear(rows.float(), weight.float())
        result = (product * row_scale * scale.t() + bias.float()).to(x.dtype)
    return result.reshape(*x.shape[:-1], weight.shape[0])


def fp8_lack(device: torch.device, dtype: torch.dtype) -> str | None:
    """None where 8-bit products pay, else why not: they need Hopper or later and bfloat16 around them."""
    if device.type != "cuda":
        return f"8-bit products need an NVIDIA GPU of compute capability 9.0 or later, not a {device.type} device"
    major, minor = torch.cuda.get_device_capability(device)
    if major < 9:
        return f"8-bit products need compute capability 9.0 or later; this GPU has {major}.{minor}"
    if dtype is not torch.bfloat16:
        return f"8-bit products give bfloat16, and this stack computes in {str(dtype).removeprefix('torch.')}"
    return None
