"""Weights of several layers side by side in one buffer, so that all of them together are a view and never a copy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def lay_out(layers: Sequence[nn.Linear], *, device: str | torch.device, dtype: torch.dtype) -> None:
    """Give linear layers of equal width new weights, uninitialised: rows of one buffer, one layer after the other.

    They stay plain parameters, one a layer; biases have a buffer of their own.
    """
    count = sum(layer.out_features for layer in layers)
    weights = torch.empty(count, layers[0].in_features, device=device, dtype=dtype)
    biases = torch.empty(count, device=device, dtype=dtype)
    start = 0
    for layer in layers:
        rows = slice(start, start + layer.out_features)
        layer.weight = nn.Parameter(weights[rows])
        layer.bias = nn.Parameter(biases[rows])
        start = rows.stop


def adjacent(tensors: Sequence[Tensor]) -> Tensor | None:
    """The concatenation along the first axis as a view without gradient, or None where memory is laid out otherwise.

    Args:
        tensors: of equal type and of equal sizes but the first.
    """
    first = tensors[0]
    storage, end = first.untyped_storage().data_ptr(), first.storage_offset()
    for tensor in tensors:
        here = tensor.untyped_storage().data_ptr() == storage and tensor.storage_offset() == end
        if tensor.is_meta or not here or not tensor.is_contiguous():
            return None
        end += tensor.numel()
    rows = sum(tensor.shape[0] for tensor in tensors)
    return first.detach().as_strided((rows, *first.shape[1:]), first.stride())
