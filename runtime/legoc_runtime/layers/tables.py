"""Constants computed from shapes: positions, coordinates, sinusoids. Never weights, never in a checkpoint."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from legoc_runtime.contract.stack import TIME_FREQUENCIES, CoordinateOrder

MAX_PERIOD = 10_000.0


def position_table(rows: int, columns: int, width: int) -> Tensor:
    """Sine-cosine positions of a window's tokens [rows * columns, width], float32 from float64 arithmetic.

    The first half encodes the column, the second the row; each half is [sin, cos] of index * 10000^(-i/(width/4)).
    The convention of MAE, DiT and the released LEGO weights; `width` is a multiple of 4.
    """
    row, column = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64), torch.arange(columns, dtype=torch.float64), indexing="ij"
    )
    return torch.cat([_sinusoid(column.reshape(-1), width // 2), _sinusoid(row.reshape(-1), width // 2)], dim=1).float()


def _sinusoid(index: Tensor, width: int) -> Tensor:
    frequencies = MAX_PERIOD ** (-torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angles = index[:, None] * frequencies[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def coordinate_channels(grid: tuple[int, int], order: CoordinateOrder) -> Tensor:
    """Pixel coordinates from -1 to 1 inclusive over the whole grid, [2, H, W]; a side of one pixel is at 0.

    `row_column`: the first channel varies along rows (axis H), as in the released weights;
    `column_row`: the other way round.
    """
    row, column = torch.meshgrid(*(_line(side) for side in grid), indexing="ij")
    match order:
        case "row_column":
            return torch.stack([row, column])
        case "column_row":
            return torch.stack([column, row])
        case "none":
            return torch.empty(0, *grid)


def _line(side: int) -> Tensor:
    if side == 1:
        return torch.zeros(1)
    return (torch.arange(side, dtype=torch.float32) / (side - 1) - 0.5) * 2.0


def time_frequencies() -> Tensor:
    """Frequencies 10000^(-i/128), i = 0..127, of the time embedding, float32 (DiT, released LEGO)."""
    return torch.exp(-math.log(MAX_PERIOD) * torch.arange(TIME_FREQUENCIES, dtype=torch.float32) / TIME_FREQUENCIES)
