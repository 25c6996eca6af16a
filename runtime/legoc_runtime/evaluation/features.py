"""Features of a set of pictures, from one pass over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from legoc_runtime.errors import RunError
from legoc_runtime.evaluation.arrays import as_tensor, spread
from legoc_runtime.evaluation.extractor import Extractor
from legoc_runtime.evaluation.moments import Moments, MomentsSum
from legoc_runtime.evaluation.picture_set import PictureSet
from legoc_runtime.evaluation.score import ScoreSum

MAX_ROWS = 50_000
"""Vectors kept of a set, evenly spread over it; moments and scores are of all its pictures."""

OnPictures = Callable[[int], None]
"""Told how many further pictures are done."""


@dataclass(frozen=True, slots=True)
class SetFeatures:
    """What all metrics are computed from.

    Attributes:
        count: pictures.
        pooled: moments of the pooled features.
        spatial: moments of the spatial ones, or None.
        rows: pooled features, float32 [K,D], K = min(count, 50,000).
        kept: which pictures they are of, int64 [K].
        scores: the classifier's score, split by split; None where the extractor classifies nothing.
    """

    count: int
    pooled: Moments
    spatial: Moments | None
    rows: Tensor
    kept: Tensor
    scores: tuple[float, ...] | None


def extract(pictures: PictureSet, extractor: Extractor, *, batch: int, on_pictures: OnPictures) -> SetFeatures:
    """Features of all pictures of a set, of which there are at least two.

    Memory is that of a batch, the moments and the rows that are kept.

    Raises:
        RunError: a picture does not decode, or its features are not finite.
    """
    count = len(pictures)
    kept = spread(count, MAX_ROWS)
    rows = torch.empty(len(kept), extractor.dimensions)
    pooled = MomentsSum(extractor.dimensions)
    spatial: MomentsSum | None = None
    score: ScoreSum | None = None
    done = 0
    for array in pictures.batches(batch):
        found = extractor(as_tensor(array))
        _check_finite(found.pooled, pictures, done)
        first, last = (int(i) for i in torch.searchsorted(kept, torch.tensor([done, done + len(array)])))
        rows[first:last] = found.pooled[kept[first:last] - done]
        pooled.add(found.pooled)
        if found.spatial is not None:
            spatial = spatial or MomentsSum(found.spatial.shape[1])
            spatial.add(found.spatial)
        if found.logits is not None:
            score = score or ScoreSum()
            score.add(found.logits)
        done += len(array)
        on_pictures(len(array))
    return SetFeatures(
        count,
        pooled.moments(),
        None if spatial is None else spatial.moments(),
        rows,
        kept,
        None if score is None else score.scores(),
    )


def _check_finite(vectors: Tensor, pictures: PictureSet, start: int) -> None:
    bad = torch.isfinite(vectors).all(dim=1).logical_not().nonzero()
    if len(bad):
        raise RunError(f"{pictures.path}: the features of {pictures.name(start + int(bad[0]))} are not finite")
