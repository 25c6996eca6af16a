"""Where the bias of a linear layer is added."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


def bias_after(layer: nn.Linear, x: Tensor) -> Tensor:
    """layer(x) [..., O], for results that an element-wise operation reads next.

    A CPU product with a bias first writes the bias to every row: a pass over the whole result. Where a compiler reads
    this, the bias is added after the product instead, inside the loop of what follows, for nothing. A layer whose
    weights are of another type (8 bits) multiplies in a way of its own and is called as it is.
    """
    if torch.compiler.is_compiling() and x.device.type == "cpu" and layer.weight.dtype == x.dtype:
        return linear(x, layer.weight) + layer.bias
    return layer(x)
