"""Between NumPy, tensors and lists, with types: PyTorch's own stubs leave them open."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_tensor(array: NDArray[Any]) -> Tensor:
    """A tensor of an array's values, in C order."""
    # a broadcast array has strides of 0 and is copied; one read from a file is not writable, and nothing writes to it
    plain = array if array.flags.c_contiguous and array.flags.writeable else array.copy(order="C")
    return torch.from_numpy(plain)  # pyright: ignore[reportUnknownMemberType]


def numbers(vector: Tensor) -> list[int]:
    """The values of an int64 vector."""
    return cast("list[int]", vector.tolist())  # pyright: ignore[reportUnknownMemberType]


def spread(total: int, most: int) -> Tensor:
    """At most so many places in [0, total), evenly spread and ascending, int64."""
    return as_tensor(np.unique(np.linspace(0, total - 1, min(most, total)).round().astype(np.int64)))
