"""Kernel distance: the squared maximum mean discrepancy under a cubic kernel (Bińkowski et al. 2018, KID)."""

from __future__ import annotations

import torch
from torch import Tensor

from legoc_runtime.evaluation.arrays import as_tensor
from legoc_runtime.randomness import Purpose, stream

SUBSETS = 100
SUBSET_SIZE = 1000

_SEED = 0
"""Which rows a subset holds is drawn from this seed, so that a number can be had again."""


def squared_mmd(a: Tensor, b: Tensor) -> float:
    """The unbiased estimate (Gretton et al. 2012, eq. 3) under k(x, y) = (x.y / D + 1)^3.

    Args:
        a: features [M,D], M >= 2.
        b: features [N,D], N >= 2.

    Returns:
        an estimate that may be negative where both sets come from one distribution.
    """
    x, y = a.double(), b.double()
    m, n = len(x), len(y)
    xx, yy = _kernel(x, x), _kernel(y, y)
    within_x = (xx.sum() - xx.trace()) / (m * (m - 1))
    within_y = (yy.sum() - yy.trace()) / (n * (n - 1))
    return float(within_x + within_y - 2 * _kernel(x, y).mean())


def kernel_distance(a: Tensor, b: Tensor, *, subsets: int = SUBSETS, size: int = SUBSET_SIZE) -> tuple[float, float]:
    """Mean and standard deviation of the estimate over random subsets of both sets.

    Args:
        a: features [M,D], M >= 2.
        b: features [N,D], N >= 2.
        subsets: how many are drawn, each without repetition.
        size: rows in each; no more than the smaller set has.

    Returns:
        mean and deviation. The deviation is that of subsets: it says little of sets not much larger than one.
    """
    rows = min(size, len(a), len(b))
    estimates: list[float] = []
    for i in range(subsets):
        random = stream(_SEED, Purpose.SUBSETS, part=i)
        of_a, of_b = (as_tensor(random.permutation(len(one))[:rows]) for one in (a, b))
        estimates.append(squared_mmd(a[of_a], b[of_b]))
    found = torch.tensor(estimates, dtype=torch.float64)
    return float(found.mean()), float(found.std(correction=0))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3
