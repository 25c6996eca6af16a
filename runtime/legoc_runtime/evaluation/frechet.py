"""The Fréchet distance between two sets of features, each taken for a Gaussian (Heusel et al. 2017, eq. 6)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from legoc_runtime.evaluation.moments import Moments

_linalg: Any = torch.linalg  # its stubs leave what it gives without types


def frechet_distance(a: Moments, b: Moments) -> float:
    """Squared 2-Wasserstein distance of two Gaussians: |mean_a - mean_b|^2 + Tr(A + B - 2 (A B)^(1/2)).

    The trace of (A B)^(1/2) is the sum of the square roots of the eigenvalues of A^(1/2) B A^(1/2), which is symmetric
    and has no negative ones: nothing here is complex, and no covariance needs a term added to its diagonal, even one
    of fewer pictures than features.

    Returns:
        the distance; what FID is with Inception's pooled features. Tiny negative rounding is left as it is.
    """
    root = _square_root(a.covariance)
    values: Tensor = _linalg.eigvalsh(_symmetric(root @ b.covariance @ root))
    between = values.clamp_min(0).sqrt().sum()
    means = (a.mean - b.mean).square().sum()
    return float(means + a.covariance.trace() + b.covariance.trace() - 2 * between)


def _square_root(matrix: Tensor) -> Tensor:
    """The symmetric square root of a symmetric matrix [D,D] without negative eigenvalues but for rounding."""
    values: Tensor
    vectors: Tensor
    values, vectors = _linalg.eigh(_symmetric(matrix))
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.T) / 2
