"""LPIPS within a picture, between its crops: how far the parts of a panorama are from each other.

Crops of one size are cut side by side (`grid`), or at places drawn at random (`random`), and every pair of crops of one
picture is compared. Near 0 a panorama repeats itself; far apart its parts do not belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from legoc_runtime.errors import UsageError
from legoc_runtime.evaluation.arrays import as_tensor
from legoc_runtime.evaluation.lpips import SMALLEST, Lpips
from legoc_runtime.evaluation.picture_set import PictureSet
from legoc_runtime.randomness import Purpose, stream
from legoc_runtime.sampling.record import read_record

Where = Literal["grid", "random"]
Corner = tuple[int, int]
"""First row and column of a crop."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Distances of many pairs.

    Attributes:
        what: which pairs.
        pairs: how many there are.
        mean: of their distances.
        deviation: standard deviation of them, over all pairs.
        by_picture: mean of each picture's pairs, in order.
        crops: how many of a picture are compared; None where whole pictures are.
    """

    what: str
    pairs: int
    mean: float
    deviation: float
    by_picture: tuple[float, ...]
    crops: int | None = None

    @classmethod
    def of(cls, what: str, distances: Sequence[Sequence[float]], crops: int | None = None) -> Spread:
        """From the distances of each picture's pairs."""
        every = [distance for own in distances for distance in own]
        return cls(what, len(every), fmean(every), pstdev(every), tuple(map(fmean, distances)), crops)

    @property
    def over_pictures(self) -> float | None:
        """Standard deviation of the pictures' own means; None of one picture."""
        return pstdev(self.by_picture) if len(self.by_picture) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """A part of the report."""
        own = {"pairs": self.pairs, "mean": self.mean, "deviation": self.deviation}
        crops = {} if self.crops is None else {"crops": self.crops, "deviation_over_pictures": self.over_pictures}
        return {"of": self.what, **own, **crops, "by_picture": list(self.by_picture)}


def window_of(samples: Path) -> tuple[int, int] | None:
    """The window that canvases in a folder of samples were made of, in pixels; None where they are no canvases.

    Raises:
        RunError: the folder's record cannot be read.
    """
    record = read_record(samples) if samples.is_dir() else None
    match (record or {}).get("request"):
        case {
            "canvas": {"window": [int(rows), int(columns)], "size": [int(height), int(width)]},
            "decoder": {"picture": [_, int(high), int(wide)]},
        } if height and width:
            return rows * high // height, columns * wide // width
        case {"canvas": {"window": [int(rows), int(columns)]}}:
            return rows, columns
        case _:
            return None


def grid_corners(size: tuple[int, int], crop: tuple[int, int]) -> list[Corner]:
    """Crops side by side, from the first row and column on; what is left over at the far borders is in none."""
    rows, columns = (range(0, side - own + 1, own) for side, own in zip(size, crop, strict=True))
    return [(row, column) for row in rows for column in columns]


def random_corners(size: tuple[int, int], crop: tuple[int, int], count: int, picture: int, seed: int) -> list[Corner]:
    """Crops at places drawn evenly, a function of the seed and the picture's place in its set."""
    ends = [side - own + 1 for side, own in zip(size, crop, strict=True)]
    drawn = stream(seed, Purpose.CROP, picture).integers(0, ends, size=(count, 2))
    return [(int(row), int(column)) for row, column in drawn]


def between_crops(
    pictures: PictureSet,
    network: Lpips,
    crop: tuple[int, int],
    where: Where,
    *,
    count: int,
    seed: int = 0,
    on_pictures: Callable[[int], None] = lambda done: None,
) -> Spread:
    """Distances of all pairs of crops of each picture.

    Args:
        pictures: the panoramas.
        network: measures.
        crop: rows and columns of a crop.
        where: `grid` or `random`.
        count: crops a picture, of `random`.
        seed: of random places.
        on_pictures: told how many further pictures are done.

    Raises:
        UsageError: a crop is too small or too large, or there is but one in a picture.
        RunError: a picture does not decode.
    """
    corners = grid_corners(pictures.size, crop)
    _check(pictures, crop, len(corners) if where == "grid" else count)
    found: list[list[float]] = []
    for i, array in enumerate(pictures.batches(1)):
        places = corners if where == "grid" else random_corners(pictures.size, crop, count, i, seed)
        picture = as_pixels(array)[0]
        crops = torch.stack([picture[:, row : row + crop[0], column : column + crop[1]] for row, column in places])
        found.append(list(_pairs(network, crops)))
        on_pictures(1)
    crops = len(corners) if where == "grid" else count
    return Spread.of(f"{where} crops of {crop[0]}x{crop[1]}", found, crops)


def between_sets(
    first: PictureSet,
    second: PictureSet,
    network: Lpips,
    *,
    batch: int,
    on_pictures: Callable[[int], None] = lambda done: None,
) -> Spread:
    """Distances of pictures at the same place of two sets.

    Raises:
        UsageError: the sets are not of one length and size, or the pictures too small.
        RunError: a picture does not decode.
    """
    if (len(first), first.size) != (len(second), second.size):
        told = [f"{len(one):,} pictures of {one.size[0]}x{one.size[1]}" for one in (first, second)]
        raise UsageError(
            f"{first.path} has {told[0]}, {second.path} {told[1]}",
            help="pictures are compared pair by pair: sample the same seeds and size in both",
        )
    _check_smallest(first.size)
    found: list[list[float]] = []
    for one, other in zip(first.batches(batch), second.batches(batch), strict=True):
        distances = network(as_pixels(one), as_pixels(other))
        found += [[float(distance)] for distance in distances]
        on_pictures(len(one))
    return Spread.of(f"pictures of {second.title}", found)


def as_pixels(pictures: np.ndarray[Any, np.dtype[np.uint8]]) -> Tensor:
    """Pictures uint8 [N,3,H,W] as float32 in [-1, 1]."""
    return as_tensor(pictures).float() / 127.5 - 1


def _pairs(network: Lpips, crops: Tensor) -> Iterator[float]:
    features = network.features(crops)
    for i in range(len(crops) - 1):
        one, others = [layer[i : i + 1] for layer in features], [layer[i + 1 :] for layer in features]
        yield from (float(distance) for distance in network.distances(one, others))


def _check(pictures: PictureSet, crop: tuple[int, int], count: int) -> None:
    _check_smallest(crop)
    size = pictures.size
    if crop[0] > size[0] or crop[1] > size[1]:
        raise UsageError(
            f"a crop of {crop[0]}x{crop[1]} does not fit into pictures of {size[0]}x{size[1]}",
            help="--crop takes the size that the stack was trained on, in pixels",
        )
    if count < 2:
        raise UsageError(
            f"a picture of {size[0]}x{size[1]} has {count} crop of {crop[0]}x{crop[1]}, and pairs need two",
            help="give larger pictures, or a smaller --crop",
        )


def _check_smallest(size: tuple[int, int]) -> None:
    if min(size) < SMALLEST:
        raise UsageError(
            f"LPIPS needs {SMALLEST}x{SMALLEST} pixels at least, these are {size[0]}x{size[1]}", help="give larger ones"
        )
