"""Cutting an image into windows and tokens, and back. Pure moves: no arithmetic, no weights.

Legend: N images, C channels, W windows (row-major), L tokens of a window (row-major), p side of a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

Cutting = tuple[tuple[int, int], int, tuple[int, int]]
"""A layout's window, receptive field and offset (`contract.stack.Layout`), in the plain tuples that fx graphs hold."""


def partition(
    images: Sequence[Tensor],
    coordinates: Tensor | None,
    window: tuple[int, int],
    offset: tuple[int, int],
    receptive_field: int,
) -> Tensor:
    """Concatenate along channels, cut windows, cut tokens: images [N, C, H, W] to [N, W, L, C*p*p], laid out (C, p, p).

    Args:
        images: tensors of equal N, H, W.
        coordinates: [2, H, W], appended after the images, or None.
        window: height and width of a window; divides the grid.
        offset: row and column at which the first window starts; the image is rolled, so that windows that cross the
            border go on at the other side.
        receptive_field: side of a token; divides the window.
    """
    cutting = (window, receptive_field, offset)
    parts = [_cut(image, cutting) for image in images]
    if coordinates is not None:
        constant = _cut(coordinates.to(parts[0].dtype)[None], cutting)
        parts.append(constant.expand(parts[0].shape[0], *[-1] * 7))
    return _tokens(parts)


def cut_coordinates(coordinates: Tensor, cutting: Cutting) -> Tensor:
    """Coordinate channels [2, H, W] as pixel tokens [W, L, 2*p*p]."""
    return _tokens([_cut(coordinates[None], cutting)])[0]


def _cut(image: Tensor, cutting: Cutting) -> Tensor:
    """The view [N, window row, window column, token row, token column, C, pixel row, pixel column]."""
    (down, across), p, offset = cutting
    if offset != (0, 0):
        image = image.roll((-offset[0], -offset[1]), dims=(2, 3))
    n, channels, height, width = image.shape
    view = image.reshape(n, channels, height // down, down // p, p, width // across, across // p, p)
    return view.permute(0, 2, 5, 3, 6, 1, 4, 7)


def _tokens(cut: Sequence[Tensor]) -> Tensor:
    """Views as `_cut` makes them, concatenated along channels, as pixel tokens: one copy."""
    joined = torch.cat(list(cut), dim=5) if len(cut) > 1 else cut[0]
    n, rows, columns, down, across, *features = joined.shape
    return joined.reshape(n, rows * columns, down * across, prod(features))


def merge(
    tokens: Tensor, grid: tuple[int, int], window: tuple[int, int], offset: tuple[int, int], receptive_field: int
) -> Tensor:
    """Tokens [N, W, L, p*p*C], laid out (p, p, C), to the image [N, C, H, W]."""
    n, p = tokens.shape[0], receptive_field
    (height, width), (down, across) = grid, window
    channels = tokens.shape[3] // (p * p)
    cut = tokens.reshape(n, height // down, width // across, down // p, across // p, p, p, channels)
    # N, window row, window column, token row, token column, pixel row, pixel column, C
    image = cut.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(n, channels, height, width)
    return image.roll(offset, dims=(2, 3)) if offset != (0, 0) else image


def take_windows(tokens: Tensor, index: Tensor) -> Tensor:
    """Windows [N, W, L, F] named by index [N, K] to [N, K, L, F]."""
    return tokens.gather(1, index[:, :, None, None].expand(-1, -1, *tokens.shape[2:]))


def put_windows(tokens: Tensor, index: Tensor, windows: int) -> Tensor:
    """Windows [N, K, L, F] back to their places in [N, windows, L, F]; zero elsewhere."""
    n, _, length, features = tokens.shape
    blank = tokens.new_zeros(n, windows, length, features)
    return blank.scatter(1, index[:, :, None, None].expand(-1, -1, length, features), tokens)


def other_windows(index: Tensor, windows: int) -> Tensor:
    """The windows that index [N, K] does not name, ascending: [N, windows - K]."""
    taken = torch.zeros(index.shape[0], windows, dtype=torch.int64, device=index.device).scatter(1, index, 1)
    # a stable sort: those that are not taken first, each kind in its order
    return taken.argsort(dim=1, stable=True)[:, : windows - index.shape[1]]


def window_mask(index: Tensor, grid: tuple[int, int], window: tuple[int, int], offset: tuple[int, int]) -> Tensor:
    """1.0 in the windows that index [N, K] names, else 0.0: [N, 1, H, W], float32."""
    (height, width), (down, across) = grid, window
    rows, columns = height // down, width // across
    taken = torch.zeros(index.shape[0], rows * columns, device=index.device).scatter(1, index, 1.0)
    mask = taken.reshape(-1, 1, rows, 1, columns, 1).expand(-1, -1, -1, down, -1, across)
    mask = mask.reshape(-1, 1, height, width)
    return mask.roll(offset, dims=(2, 3)) if offset != (0, 0) else mask
