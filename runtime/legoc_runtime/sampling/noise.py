"""The noise of a seed, from the seed's own streams.

It is drawn on the CPU: the same bits on any device, in any batch, at any rank, under any policy. A canvas is filled in
tiles of the stack's grid, each from a stream of its own: a place has the same noise on every canvas that has it, and
the first tile has the noise of the picture without a canvas.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from legoc_runtime.randomness import Purpose, normal


def start_noise(seeds: Sequence[int], image_shape: tuple[int, int, int], tile: tuple[int, int] | None = None) -> Tensor:
    """Standard normal noise that pictures start from: float64 [N,C,H,W], row i of seed i alone.

    Args:
        seeds: one picture each.
        image_shape: channels, height, width of a picture.
        tile: height and width of the stack's grid, where a picture is a canvas; None is the picture's own size.
    """
    return _rows(seeds, Purpose.START, image_shape, tile, part=0)


def churn_noise(
    seeds: Sequence[int], image_shape: tuple[int, int, int], step: int, tile: tuple[int, int] | None = None
) -> Tensor:
    """Fresh standard normal noise of a sampler's step: float64 [N,C,H,W], in tiles as `start_noise`."""
    return _rows(seeds, Purpose.CHURN, image_shape, tile, part=step)


_TILE_ROW = 2**32
"""Position of a tile in its stream: its row times this, plus its column."""


def _rows(
    seeds: Sequence[int], purpose: Purpose, image_shape: tuple[int, int, int], tile: tuple[int, int] | None, part: int
) -> Tensor:
    channels, height, width = image_shape
    down, across = tile or (height, width)

    def filled(seed: int) -> NDArray[np.float32]:
        rows = [
            np.concatenate(
                [
                    normal(seed, purpose, (channels, down, across), position=row * _TILE_ROW + column, part=part)
                    for column in range(-(-width // across))
                ],
                axis=2,
            )
            for row in range(-(-height // down))
        ]
        return np.concatenate(rows, axis=1)[:, :height, :width]

    return torch.tensor(np.stack([filled(seed) for seed in seeds]), dtype=torch.float64)
