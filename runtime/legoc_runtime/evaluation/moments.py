"""Mean and covariance of features, gathered batch by batch in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and covariance of a set of vectors.

    Attributes:
        mean: float64 [D].
        covariance: float64 [D,D], the unbiased one (divided by n - 1), as in ADM's and EDM's reference files.
    """

    mean: Tensor
    covariance: Tensor


class MomentsSum:
    """Gathers moments: memory of one D x D matrix however many vectors come (Chan et al. 1979, eq. 2.1)."""

    def __init__(self, dimensions: int) -> None:
        self.count = 0
        self._mean = torch.zeros(dimensions, dtype=torch.float64)
        self._scatter = torch.zeros(dimensions, dimensions, dtype=torch.float64)

    def add(self, vectors: Tensor) -> None:
        """Count vectors [N,D] in."""
        rows = vectors.double()
        n = len(rows)
        mean = rows.mean(dim=0)
        centred = rows - mean
        shift = mean - self._mean
        total = self.count + n
        self._scatter += centred.T @ centred + torch.outer(shift, shift) * (self.count * n / total)
        self._mean += shift * (n / total)
        self.count = total

    def moments(self) -> Moments:
        """The moments of all vectors so far, at least two."""
        return Moments(self._mean, self._scatter / (self.count - 1))
