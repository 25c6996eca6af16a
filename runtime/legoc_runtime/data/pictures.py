"""One encoded image: its header, and its pixels as uint8 [channels, height, width].

Rules, the same for every reader. Formats: PNG, JPEG, WebP; of an animation the first frame. Transparency is
composited on white. Palette and CMYK images become RGB. EXIF orientation is not applied (as in torchvision).
Images of more than 8 bits a channel that pillow does not reduce itself are refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legoc_runtime.contract.settings import Resize
from legoc_runtime.data.resize import check_source_size, resized
from legoc_runtime.errors import LegocError, RunError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""File names that are taken for images, in lower case."""

MAX_PIXELS = 4096 * 4096
"""Larger images are refused from their header, before anything is allocated."""

_FORMATS = ("PNG", "JPEG", "WEBP")
_GRAY_MODES = ("1", "L", "LA")
_COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")

_UNREADABLE = (
    OSError,  # pillow's own, truncated files among them
    SyntaxError,  # pillow on a broken PNG
    ValueError,
    EOFError,
    RuntimeError,  # zipfile: an encrypted member
    NotImplementedError,  # zipfile: an unknown compression
    struct.error,
    zlib.error,
    BadZipFile,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of an image says.

    Attributes:
        height: rows.
        width: columns.
        gray: whether it has one channel of intensity (transparency aside).
    """

    height: int
    width: int
    gray: bool


def read_header(file: BinaryIO, name: str) -> Header:
    """The header of an image, without decoding it.

    Args:
        file: the encoded image.
        name: how errors call it.

    Raises:
        RunError: not a PNG, JPEG or WebP image, too large, or of more than 8 bits a channel.
    """
    with naming(name), Image.open(file, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_large(name, f"{image.height}x{image.width} pixels")
        if image.mode not in _GRAY_MODES + _COLOUR_MODES:
            raise RunError(
                f"{name} has pixels of mode {image.mode}, not 8 bits a channel",
                help="convert it to an 8-bit gray or RGB image",
            )
        return Header(image.height, image.width, image.mode in _GRAY_MODES)


def decode(
    file: BinaryIO, name: str, *, channels: int, height: int, width: int, resize: Resize = "none"
) -> NDArray[np.uint8]:
    """The pixels of an image.

    Args:
        file: the encoded image.
        name: how errors call it.
        channels: 1 (gray) or 3 (RGB); a gray image becomes RGB by repetition.
        height: rows that it must have, or is given by `resize`.
        width: columns that it must have, or is given.
        resize: how an image of another size comes to this one.

    Returns:
        uint8 [channels, height, width].

    Raises:
        RunError: it does not decode, or is of another size or colour.
    """
    with naming(name), Image.open(file, formats=_FORMATS) as image:
        check_size(Header(image.height, image.width, image.mode in _GRAY_MODES), name, height, width, resize)
        if channels == 1 and image.mode not in _GRAY_MODES:
            raise RunError(f"{name} is a colour image in a set of gray ones", help="convert it to gray, or take it out")
        plain = _on_white(image).convert("L" if channels == 1 else "RGB")
        if resize != "none":
            plain = resized(plain, resize, (height, width))
        pixels = np.asarray(plain, dtype=np.uint8).reshape(height, width, channels)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def check_size(header: Header, name: str, height: int, width: int, resize: Resize = "none") -> None:
    """Raise RunError unless the image has `height` rows and `width` columns, or comes to them by `resize`."""
    if resize != "none":
        check_source_size(resize, (header.height, header.width), name)
        if header.height * header.width > MAX_PIXELS:
            raise _too_large(name, f"{header.height}x{header.width} pixels")
        return
    if (header.height, header.width) != (height, width):
        raise RunError(
            f"{name} is {header.height}x{header.width}, the first image of the set is {height}x{width}",
            help="images of a set must have one size: say how they come to it with `data: {resize: adm}`",
        )


@contextmanager
def naming(name: str) -> Generator[None]:
    """Turn whatever reading or decoding `name` raises into a RunError that names it."""
    try:
        yield
    except LegocError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, "more pixels than any training image has") from error
    except _UNREADABLE as error:
        raise RunError(
            f"{name} cannot be read as an image: {error}", help="replace the file, or take it out of the set"
        ) from error


def _too_large(name: str, size: str) -> RunError:
    return RunError(f"{name} has {size}; at most {MAX_PIXELS:,} pixels are read", help="resize it, or take it out")


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    colours = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours)
