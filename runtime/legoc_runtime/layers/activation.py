"""The tanh GELU, h/2 (1 + tanh(sqrt(2/pi) (h + 0.044715 h^3))) (Hendrycks and Gimpel 2016), in several forms."""

from __future__ import annotations

import math
from typing import Any, assert_never

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from legoc_runtime.contract.gelu_rule import GeluForm
from legoc_runtime.layers.bias import bias_after

CUBIC = 0.044715
SLOPE = 2 * math.sqrt(2 / math.pi)


_torch: Any = torch  # custom operations and `_addmm_activation` are only partly typed


def linear_gelu(layer: nn.Linear, x: Tensor, form: GeluForm) -> Tensor:
    """GELU(layer(x)).

    Args:
        layer: I to O features, with a bias.
        x: [..., I].
        form: how it is computed; the result agrees within rounding.

    Returns:
        [..., O].

    Raises:
        ValueError: `epilogue` was asked for where it does not exist: off CUDA PyTorch's operation is the erf form.
    """
    match form:
        case "call":
            return gelu(bias_after(layer, x), approximate="tanh")
        case "sigmoid":
            return gelu_sigmoid(bias_after(layer, x))
        case "epilogue":
            if x.device.type != "cuda":
                raise ValueError(f"the GELU epilogue exists on CUDA alone, not on {x.device.type}")
            return linear_gelu_epilogue(x, layer.weight, layer.bias)
        case _:
            assert_never(form)


def gelu_sigmoid(h: Tensor) -> Tensor:
    """The tanh GELU as h * sigmoid(2 sqrt(2/pi) (h + 0.044715 h^3)), since (1 + tanh(z)) / 2 = sigmoid(2 z).

    Half-precision values are computed in float32, as a compiled kernel does by itself: the cube of a float16 overflows
    from 41 on.
    """
    wide = h.float() if h.dtype in (torch.float16, torch.bfloat16) else h
    return (wide * torch.sigmoid(wide * (SLOPE + SLOPE * CUBIC * wide * wide))).to(h.dtype)


@_torch.library.custom_op("legoc::linear_gelu_epilogue", mutates_args=(), device_types="cuda")
def linear_gelu_epilogue(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """GELU(x weight^T + bias) in one cuBLASLt call. For inference: it has no derivative.

    An operation of its own, since inductor takes `_addmm_activation` apart into a product and a GELU kernel.
    """
    if x.dtype is torch.float64:  # cuBLASLt has no GELU epilogue for it
        return gelu(linear(x, weight, bias), approximate="tanh")
    rows = x.reshape(-1, x.shape[-1])
    activated: Tensor = _torch._addmm_activation(bias, rows, weight.t(), use_gelu=True)
    return activated.reshape(*x.shape[:-1], weight.shape[0])


@linear_gelu_epilogue.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])
