"""Where a sampler begins: pure noise, or an image noised to a level of the schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from legoc_runtime.contract.schedule import Level


def exploding(noise: Tensor, level: Level, image: Tensor | None = None) -> Tensor:
    """The variance-exploding state of EDM, x = x0 + sigma n; x0 is 0 where there is no image.

    Args:
        noise: standard normal n [N,C,H,W].
        level: where the sampler begins.
        image: x0 [N,C,H,W] in [-1, 1], or None.

    Returns:
        float64 [N,C,H,W].
    """
    noised = noise.to(torch.float64) * level.sigma
    return noised if image is None else image.to(torch.float64) + noised


def preserving(noise: Tensor, level: Level, image: Tensor | None = None) -> Tensor:
    """DDPM's state as x = x_t / sqrt(abar): that of a standard normal x_t, or of an image noised to the level.

    Args:
        noise: standard normal n [N,C,H,W].
        level: where the sampler begins.
        image: x0 [N,C,H,W] in [-1, 1], or None.

    Returns:
        float64 [N,C,H,W].
    """
    if image is not None:
        return exploding(noise, level, image)
    return noise.to(torch.float64) * math.sqrt(1 + level.sigma**2)
