"""Pictures that were just sampled, evaluated without writing them to disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from legoc_runtime.evaluation.cache import FeatureCache
from legoc_runtime.evaluation.extractor import Extractor
from legoc_runtime.evaluation.features import SetFeatures
from legoc_runtime.evaluation.picture_set import Part, PictureSet
from legoc_runtime.sampling.pictures import to_uint8


class MadePictures:
    """Estimates in memory as 8-bit pictures; fits `evaluation.picture_set.PictureSet`.

    Args:
        title: what a report calls them.
        estimates: float32 [N, C, H, W] in [-1, 1], C 1 or 3.
    """

    def __init__(self, title: str, estimates: Tensor) -> None:
        self._title = title
        pictures = to_uint8(estimates)
        count, _, height, width = pictures.shape
        self._pictures = np.broadcast_to(pictures, (count, 3, height, width))

    @property
    def path(self) -> Path:
        """Its title: there is no file."""
        return Path(self._title)

    @property
    def title(self) -> str:
        """What a report calls the set."""
        return self._title

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._pictures.shape[2], self._pictures.shape[3]

    def __len__(self) -> int:
        return len(self._pictures)

    def fingerprint(self) -> str:
        """SHA-256 over the pixels."""
        return hashlib.sha256(f"made{self._pictures.shape}".encode() + self._pictures.tobytes()).hexdigest()

    def batches(self, count: int, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Pictures in order, uint8 [N,3,H,W], `count` at a time."""
        end = len(self) if stop is None else stop
        for first in range(start, end, count):
            yield self._pictures[first : min(first + count, end)]

    def name(self, index: int) -> str:
        """Its place."""
        return f"picture {index}"


class ReferenceCache(FeatureCache):
    """Keeps the features of sets on disk, in memory too; those of pictures that were just sampled are needed once."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        super().__init__(directory, say)
        self._known: dict[str, SetFeatures] = {}

    def features(self, pictures: PictureSet, extractor: Extractor, make: Callable[[], SetFeatures]) -> SetFeatures:
        """The features of a set.

        Raises:
            RunError: the cache cannot be written.
        """
        if isinstance(pictures, MadePictures | Part):
            return make()
        if pictures.title not in self._known:
            self._known[pictures.title] = super().features(pictures, extractor, make)
        return self._known[pictures.title]
