"""The variational bound of one timestep, which teaches a learned variance (Nichol and Dhariwal 2021, section 3.1).

Legend: N images, C channels, H rows, W columns. Everything is in bits a dimension.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_BIN = 1 / 255
"""Half the width of a grey level in [-1, 1]."""

_LEAST = 1e-12
"""The least probability of a grey level; its logarithm must be finite."""


def learned_log_variance(v: Tensor, smallest: Tensor, largest: Tensor) -> Tensor:
    """The logarithm of the variance between two bounds: v = -1 is `smallest`, 1 is `largest` (Eq. 15)."""
    share = (v + 1) / 2
    return share * largest + (1 - share) * smallest


def divergence(mean_difference: Tensor, log_variance: Tensor, model_log_variance: Tensor) -> Tensor:
    """KL divergence of a normal distribution from the model's, element by element, in bits."""
    ratio = torch.exp(log_variance - model_log_variance)
    apart = mean_difference.square() * torch.exp(-model_log_variance)
    return 0.5 * (model_log_variance - log_variance - 1 + ratio + apart) / math.log(2)


def grey_level_cost(clean: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Bits of the grey level that `clean` in [-1, 1] falls into, under a normal distribution, element by element.

    Levels are 2/255 wide, the first and last are open (Ho et al. 2020, Eq. 13); the distribution function is
    approximated by 0.5 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))), as in the public code.
    """
    scale = torch.exp(-0.5 * log_variance)
    below = _distribution(scale * (clean - mean - _BIN))
    up_to = _distribution(scale * (clean - mean + _BIN))
    probability = torch.where(clean < -0.999, up_to, torch.where(clean > 0.999, 1 - below, up_to - below))
    return -probability.clamp(min=_LEAST).log() / math.log(2)


def _distribution(z: Tensor) -> Tensor:
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
