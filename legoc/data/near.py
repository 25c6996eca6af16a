"""Images that look alike: a hash of 64 bits of what is brighter than what, and a closer look where few bits differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_BITS = 6
"""Hashes of images that look alike differ in so many bits at most."""

CLOSER = 5
"""So many of the nearest are looked at closely, an image."""

MAX_DIFFERENCE = 10.0
"""Root mean square difference of two images of 16x16 gray pixels that look alike, of 255."""

_SIDE = 16
_BITS_OF = np.array([value.bit_count() for value in range(65536)], dtype=np.uint8)


def look_of(pixels: NDArray[np.uint8]) -> int:
    """The difference hash of an image, 64 bits: whether each of 9x8 gray means is darker than the next in its row.

    Args:
        pixels: uint8 [3, height, width].
    """
    means = np.asarray(_gray(pixels).resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (means[:, :-1] < means[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Root mean square difference of two images, of any sizes, as 16x16 gray means, 0 to 255."""
    small = [np.asarray(_gray(p).resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64) for p in (one, other)]
    return float(np.sqrt(np.mean((small[0] - small[1]) ** 2)))


def near_pairs(
    ours: NDArray[np.uint64],
    theirs: NDArray[np.uint64],
    our_pixels: Callable[[int], NDArray[np.uint8]],
    their_pixels: Callable[[int], NDArray[np.uint8]],
) -> Iterator[tuple[int, int]]:
    """For each of theirs that one of ours looks like, both indices; the nearest of ours.

    Args:
        ours: hashes of the one set.
        theirs: hashes of the other.
        our_pixels: an image of the one set by its index, uint8 [3, height, width].
        their_pixels: one of the other.
    """
    for place, look in enumerate(theirs):
        apart = np.bitwise_xor(ours, look).view(np.uint16).reshape(-1, 4)
        distance = _BITS_OF[apart].sum(axis=1, dtype=np.int64)
        close = np.flatnonzero(distance <= MAX_BITS)
        if not close.size:
            continue
        nearest = close[np.argsort(distance[close], kind="stable")[:CLOSER]].tolist()
        pixels = their_pixels(place)
        apart_by = [difference(our_pixels(index), pixels) for index in nearest]
        best = int(np.argmin(apart_by))
        if apart_by[best] <= MAX_DIFFERENCE:
            yield nearest[best], place


def _gray(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).convert("L")
