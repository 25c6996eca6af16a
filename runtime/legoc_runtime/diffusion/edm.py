"""EDM (Karras et al. 2022): noise levels for training, loss weight, and the loss of a stack of bricks.

Legend: N images, C channels, H rows, W columns, K bricks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.diffusion.masked import mean_where_run, where_run
from legoc_runtime.errors import UsageError


def noise_level(normal: float, edm: EdmConstants) -> float:
    """The noise level sigma of a standard normal number: ln sigma ~ N(P_mean, P_std^2) (EDM, Table 1).

    In Python's arithmetic: a vectorised exp may round a number differently by its place in the batch.
    """
    return math.exp(edm.p_mean + edm.p_std * normal)


def loss_weight(sigma: Tensor, sigma_data: float) -> Tensor:
    """lambda(sigma) = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2 (EDM, Table 1); any shape."""
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def brick_loss(estimate: Tensor, clean: Tensor, sigma: Tensor, mask: Tensor | None, sigma_data: float) -> Tensor:
    """The weighted squared error of one brick, image by image.

    Args:
        estimate: the brick's estimate of the clean image, [N, C, H, W].
        clean: the clean image, [N, C, H, W].
        sigma: noise levels, [N].
        mask: 1 where the brick ran, 0 elsewhere, [N, 1, H, W]; None where it ran everywhere.
        sigma_data: standard deviation of the data.

    Returns:
        [N]: lambda(sigma) times the mean squared error over the pixels that the brick ran.
    """
    squared = where_run(estimate - clean, mask).square()
    return mean_where_run(squared, mask) * loss_weight(sigma, sigma_data)


def shares(weights: Sequence[float]) -> tuple[float, ...]:
    """Loss weights of bricks as shares that add to 1; equal weights are the average of the paper's Eq. 12.

    Raises:
        UsageError: a weight is negative, or none is above 0.
    """
    total = sum(weights)
    if min(weights) < 0 or not total > 0:
        raise UsageError(
            f"the loss weights of the bricks are {', '.join(map(str, weights))}",
            help="give every brick a loss weight of 0 or more, and at least one a weight above 0",
        )
    return tuple(weight / total for weight in weights)


def joint_loss(losses: Tensor, brick_shares: Tensor) -> Tensor:
    """The training loss: the average over images and bricks (paper, Eq. 12).

    Args:
        losses: losses of bricks, image by image, [K, N].
        brick_shares: share of every brick, [K], adding to 1.

    Returns:
        a scalar.
    """
    return (losses.mean(dim=1) * brick_shares).sum()
