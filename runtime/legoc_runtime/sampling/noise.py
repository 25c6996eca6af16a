"""The noise of a seed, from the seed's own streams.

It is drawn on the CPU: the same bits on any device, in any batch, at any rank, under any policy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from legoc_runtime.randomness import Purpose, normal


def start_noise(seeds: Sequence[int], image_shape: tuple[int, int, int]) -> Tensor:
    """Standard normal noise that pictures start from: float64 [N,C,H,W], row i of seed i alone."""
    return _rows(seeds, Purpose.START, image_shape, part=0)


def churn_noise(seeds: Sequence[int], image_shape: tuple[int, int, int], step: int) -> Tensor:
    """Fresh standard normal noise of a sampler's step: float64 [N,C,H,W]."""
    return _rows(seeds, Purpose.CHURN, image_shape, part=step)


def _rows(seeds: Sequence[int], purpose: Purpose, image_shape: tuple[int, int, int], part: int) -> Tensor:
    rows = np.stack([normal(seed, purpose, image_shape, part=part) for seed in seeds])
    return torch.tensor(rows, dtype=torch.float64)
