"""Precision and recall by nearest neighbours (Kynkäänniemi et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

NEIGHBOURS = 3
"""The paper's k."""

_BLOCK = 2**24
"""Distances held at once, so that memory stays bounded for any two sets."""


def precision_and_recall(samples: Tensor, reference: Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """How much of each set lies in the manifold of the other.

    A set's manifold is the union of balls about its vectors, each as wide as the distance to the vector's k-th nearest
    neighbour in its own set (eq. 1).

    Args:
        samples: features [M,D] of generated pictures, M > k.
        reference: features [N,D] of real ones, N > k.
        neighbours: k.

    Returns:
        precision, the share of samples in the reference's manifold; recall, the share of the reference in the samples'.
    """
    radii, radii_of_samples = _radii(reference, neighbours), _radii(samples, neighbours)
    inside = torch.zeros(len(samples), dtype=torch.bool)
    reached = torch.zeros(len(reference), dtype=torch.bool)
    for rows, found in squared_distances(samples, reference):
        inside[rows] = (found <= radii).any(dim=1)
        reached |= (found <= radii_of_samples[rows, None]).any(dim=0)
    return float(inside.double().mean()), float(reached.double().mean())


def squared_distances(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared Euclidean distances between two sets of vectors [M,D] and [N,D], some rows of the first at a time.

    Yields:
        rows of `a`, and float64 [rows, N] of their distances; exactly 0 where two vectors differ by rounding alone.
    """
    y = b.double()
    of_y = y.square().sum(dim=1)
    count = max(1, _BLOCK // len(b))
    for start in range(0, len(a), count):
        rows = slice(start, start + count)
        x = a[rows].double()
        scale = x.square().sum(dim=1)[:, None] + of_y
        found = torch.addmm(scale, x, y.T, alpha=-2)
        # copies must be copies: the product form leaves them apart by rounding
        yield rows, found.masked_fill_(found <= 1e-12 * scale, 0)


def _radii(vectors: Tensor, neighbours: int) -> Tensor:
    """Squared distance of every vector to its k-th nearest neighbour, [N]."""
    # a vector is its own nearest, at 0
    found = [rows.kthvalue(neighbours + 1, dim=1).values for _, rows in squared_distances(vectors, vectors)]
    return torch.cat(found)
