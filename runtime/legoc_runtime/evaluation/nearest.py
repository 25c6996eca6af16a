"""The nearest reference picture of each sample: memorised, or made?

Distances alone say little, so that of each reference picture to its own nearest neighbour in the set is the yardstick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from legoc_runtime.evaluation.arrays import as_tensor, numbers, spread
from legoc_runtime.evaluation.features import SetFeatures
from legoc_runtime.evaluation.manifold import squared_distances
from legoc_runtime.evaluation.picture_set import PictureSet

MAX_SAMPLES = 1000
MAX_QUERY_BYTES = 2**28
"""Pictures compared pixel by pixel are held as float32, so many bytes of them at most on either side."""

_READ = 64
_QUERIES = 128


@dataclass(frozen=True, slots=True)
class Match:
    """A reference picture nearest to a query.

    Attributes:
        index: its place in the reference.
        distance: to it: in grey levels (root mean square over the pixels), or in units of the features.
    """

    index: int
    distance: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A sample and what is nearest to it.

    Attributes:
        sample: its place in its set.
        pixels: nearest by pixels.
        features: nearest by features.
    """

    sample: int
    pixels: Match
    features: Match


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Distances of reference pictures to their own nearest other one.

    Attributes:
        lowest: the distance that one in a hundred is nearer than.
        median: the middle one.
    """

    lowest: float
    median: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest pictures of a set of samples.

    Attributes:
        neighbours: one a sample, the most suspicious (by either distance over its yardstick's median) first.
        samples: samples in the set; those compared are evenly spread over it where they are too many.
        pixels: yardstick of pixel distances.
        features: yardstick of feature distances.
        searched: reference pictures that features were compared with.
    """

    neighbours: tuple[Neighbour, ...]
    samples: int
    pixels: Yardstick
    features: Yardstick
    searched: int

    @property
    def copies(self) -> int:
        """Samples as near to a reference picture, in pixels, as the nearest one in a hundred of those is to another."""
        return sum(neighbour.pixels.distance <= self.pixels.lowest for neighbour in self.neighbours)

    def to_json(self, samples: PictureSet, reference: PictureSet) -> dict[str, Any]:
        """The section `nearest` of the report."""

        def match(found: Match) -> dict[str, Any]:
            return {"file": reference.name(found.index), "distance": found.distance}

        return {
            "set": samples.title,
            "compared": len(self.neighbours),
            "as_near_as_closest_percent": self.copies,
            "reference_to_itself": {
                "pixels": {"lowest_percent": self.pixels.lowest, "median": self.pixels.median},
                "features": {"lowest_percent": self.features.lowest, "median": self.features.median},
            },
            "samples": [
                {"file": samples.name(one.sample), "pixels": match(one.pixels), "features": match(one.features)}
                for one in self.neighbours
            ],
        }


def find_nearest(
    samples: PictureSet, of_samples: SetFeatures, reference: PictureSet, of_reference: SetFeatures
) -> Nearest:
    """The nearest reference picture of each sample, in pixels and in features.

    Args:
        samples: pictures of the reference's size; up to 1,000 of them are compared.
        of_samples: their features.
        reference: at least two pictures.
        of_reference: their features.
    """
    most = min(MAX_SAMPLES, max(2, MAX_QUERY_BYTES // (3 * samples.size[0] * samples.size[1] * 4)))
    queries, own = spread(len(of_samples.kept), most), spread(len(of_reference.kept), most)
    chosen, chosen_own = of_samples.kept[queries], of_reference.kept[own]
    places = torch.cat([torch.full((len(chosen),), -1), chosen_own])
    pixels = torch.cat([_pictures(samples, chosen), _pictures(reference, chosen_own)])
    in_pixels = _nearest_pixels(pixels, places, reference)
    vectors = torch.cat([of_samples.rows[queries], of_reference.rows[own]])
    in_features = _nearest_rows(vectors, places, of_reference)
    count = len(chosen)
    of_pixels = _yardstick([match.distance for match in in_pixels[count:]])
    of_features = _yardstick([match.distance for match in in_features[count:]])
    found = [
        Neighbour(sample, by_pixels, by_features)
        for sample, by_pixels, by_features in zip(numbers(chosen), in_pixels[:count], in_features[:count], strict=True)
    ]

    def suspicion(neighbour: Neighbour) -> float:
        ratios = (
            neighbour.pixels.distance / max(of_pixels.median, 1e-9),
            neighbour.features.distance / max(of_features.median, 1e-9),
        )
        return min(ratios)

    found.sort(key=suspicion)
    return Nearest(tuple(found), len(samples), of_pixels, of_features, len(of_reference.rows))


def picture(pictures: PictureSet, index: int) -> NDArray[np.uint8]:
    """One picture of a set, uint8 [3,H,W]."""
    return next(pictures.batches(1, index, index + 1))[0]


def _pictures(pictures: PictureSet, wanted: Tensor) -> Tensor:
    """Pictures at ascending places as float32 [N, 3HW], in grey levels."""
    places, start = numbers(wanted), 0
    rows: list[NDArray[np.uint8]] = []
    for array in pictures.batches(_READ):
        rows += [array[place - start] for place in places if start <= place < start + len(array)]
        start += len(array)
    return as_tensor(np.stack(rows)).flatten(1).float()


def _nearest_pixels(queries: Tensor, places: Tensor, reference: PictureSet) -> list[Match]:
    best = torch.full((len(queries),), torch.inf, dtype=torch.float64)
    index = torch.zeros(len(queries), dtype=torch.int64)
    start = 0
    for array in reference.batches(_READ):
        batch = as_tensor(array).flatten(1).float()
        for first in range(0, len(queries), _QUERIES):
            rows = slice(first, first + _QUERIES)
            for _, found in squared_distances(queries[rows], batch):
                _forget_self(found, places[rows], torch.arange(start, start + len(batch)))
                nearest = found.min(dim=1)
                nearer = nearest.values < best[rows]
                best[rows] = torch.where(nearer, nearest.values, best[rows])
                index[rows] = torch.where(nearer, nearest.indices + start, index[rows])
        start += len(array)
    levels = (best / queries.shape[1]).sqrt()
    return [Match(int(i), float(level)) for i, level in zip(index, levels, strict=True)]


def _nearest_rows(queries: Tensor, places: Tensor, reference: SetFeatures) -> list[Match]:
    matches: list[Match] = []
    for rows, found in squared_distances(queries, reference.rows):
        _forget_self(found, places[rows], reference.kept)
        nearest = found.min(dim=1)
        matches += [
            Match(int(reference.kept[i]), float(value) ** 0.5)
            for i, value in zip(nearest.indices, nearest.values, strict=True)
        ]
    return matches


def _forget_self(found: Tensor, places: Tensor, columns: Tensor) -> None:
    """A reference picture is not its own neighbour."""
    found.masked_fill_(places[:, None] == columns, torch.inf)


def _yardstick(distances: list[float]) -> Yardstick:
    values = torch.tensor(distances, dtype=torch.float64)
    return Yardstick(float(values.quantile(0.01)), float(values.median()))
