"""How training noise levels are distributed: shares of them, and the level at a share. Both sides read it."""

from __future__ import annotations

import math
from bisect import bisect_left
from statistics import NormalDist
from typing import assert_never

from legoc_runtime.contract.schedule import chain_levels
from legoc_runtime.contract.stack import DdpmConstants, Diffusion, EdmConstants

_NORMAL = NormalDist()
_LEAST = 1e-12
"""A share that the inverse of the normal distribution can take."""


def share_below(sigma: float, diffusion: Diffusion) -> float:
    """The share of training noise levels that are lower than one: EDM's are log-normal, DDPM's timesteps alike."""
    match diffusion:
        case EdmConstants():
            return _NORMAL.cdf((math.log(sigma) - diffusion.p_mean) / diffusion.p_std)
        case DdpmConstants():
            return bisect_left(chain_levels(diffusion), sigma) / diffusion.steps
        case _:
            assert_never(diffusion)


def level_at(share: float, diffusion: Diffusion) -> float:
    """The noise level sigma with this share of the others below it, 0 to 1."""
    match diffusion:
        case EdmConstants():
            normal = _NORMAL.inv_cdf(min(max(share, _LEAST), 1 - _LEAST))
            return math.exp(diffusion.p_mean + diffusion.p_std * normal)
        case DdpmConstants():
            return chain_levels(diffusion)[min(int(share * diffusion.steps), diffusion.steps - 1)]
        case _:
            assert_never(diffusion)
