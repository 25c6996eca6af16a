"""Means over the pixels that a brick ran. Legend: N images, C channels, H rows, W columns."""

from __future__ import annotations

import torch
from torch import Tensor


def where_run(values: Tensor, mask: Tensor | None) -> Tensor:
    """Values [N, C, H, W] where mask [N, 1, H, W] is above 0, zeros elsewhere; None stands for everywhere.

    A choice, not a product: what stands in a window that did not run must not count even if not finite.
    """
    return values if mask is None else torch.where(mask > 0, values, 0.0)


def mean_where_run(values: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of values [N, C, H, W] over channels and the pixels of the mask, image by image: [N].

    Args:
        values: zero outside the mask.
        mask: [N, 1, H, W], above 0 where the brick ran; None where it ran everywhere.
    """
    if mask is None:
        return values.mean(dim=(1, 2, 3))
    return values.sum(dim=(1, 2, 3)) / ((mask > 0).sum(dim=(1, 2, 3)) * values.shape[1])
