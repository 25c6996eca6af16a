"""Estimates as pictures: 8-bit arrays, PNG and NPY bytes, a grid, files written whole or not at all."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from legoc_runtime.errors import RunError

GRID_PICTURES = 1024
"""A grid shows at most so many pictures, the first ones."""

GRID_SIZE = 2**25
"""And at most so many pixels in all, so that large pictures do not make a grid that nothing opens."""

GRID_GAP = 2
"""Pixels between the pictures of a grid."""

GRID_GREY = 255
"""Grey level of the gaps."""


def is_picture(channels: int) -> bool:
    """Whether this many channels can be looked at: grey or RGB. Others are latents, kept as numbers."""
    return channels in (1, 3)


def to_uint8(estimates: Tensor) -> NDArray[np.uint8]:
    """Estimates [N,C,H,W] in [-1, 1] as 8-bit pictures: x * 127.5 + 128, clipped, rounded down (EDM)."""
    scaled = (estimates.float() * 127.5 + 128).clamp(0, 255)
    return scaled.numpy().astype(np.uint8)


def png_bytes(picture: NDArray[np.uint8]) -> bytes:
    """A grey or RGB picture [C,H,W] as PNG."""
    rows = picture[0] if picture.shape[0] == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0))
    buffer = io.BytesIO()
    Image.fromarray(rows).save(buffer, format="PNG")
    return buffer.getvalue()


def npy_bytes(estimate: Tensor) -> bytes:
    """An estimate [C,H,W] as a float32 NPY file."""
    buffer = io.BytesIO()
    np.save(buffer, estimate.float().numpy(), allow_pickle=False)
    return buffer.getvalue()


def grid(pictures: Sequence[NDArray[np.uint8]], gap: int = GRID_GAP) -> NDArray[np.uint8]:
    """Pictures [C,H,W] of one size as one near-square picture, row by row."""
    channels, height, width = pictures[0].shape
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    size = (channels, rows * (height + gap) - gap, columns * (width + gap) - gap)
    sheet = np.full(size, GRID_GREY, dtype=np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = picture
    return sheet


def grid_count(height: int, width: int) -> int:
    """How many pictures of this size a grid shows at most."""
    return max(1, min(GRID_PICTURES, GRID_SIZE // (height * width)))


def read_png(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8] | None:
    """A picture [C,H,W] that `png_bytes` wrote; None where there is none, or one that is not whole or of another shape.

    Args:
        path: its file.
        shape: the channels, height and width that it must have.
    """
    channels, height, width = shape
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if (image.mode, image.size) != ("L" if channels == 1 else "RGB", (width, height)):
                return None
            rows = np.asarray(image)
    except (OSError, SyntaxError, ValueError):
        return None
    return rows[None] if channels == 1 else rows.transpose(2, 0, 1)


def is_npy(path: Path, shape: tuple[int, int, int]) -> bool:
    """Whether a file is a whole float32 array of this shape that `npy_bytes` wrote."""
    try:
        found: object = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    if not isinstance(found, np.ndarray):
        return False
    array = cast("NDArray[Any]", found)
    return array.shape == shape and array.dtype == np.float32


def write_whole(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write a file so that it is either the old one or the new one, never half of it.

    Args:
        path: where.
        data: its content.
        sync: wait until the disk has it, so that even a power cut leaves one of the two.

    Raises:
        RunError: the disk is full, or the file cannot be written; a half-written neighbour is removed.
    """
    neighbour = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with neighbour.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        neighbour.replace(path)
    except OSError as error:
        neighbour.unlink(missing_ok=True)
        raise RunError(
            f"{path} cannot be written: {error.strerror or error}", help="free space or choose another --out"
        ) from error
