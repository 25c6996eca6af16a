"""How much the squared error of the clean image counts at a noise level: lambda of the paper's Eq. 12, by name.

| `loss_weighting` | lambda(sigma) | source |
|---|---|---|
| `diffusion` | EDM: (sigma^2 + sigma_data^2) / (sigma sigma_data)^2 | Karras et al. 2022, Table 1 |
| | DDPM: 1 / sigma^2, as of `noise` | Ho et al. 2020, Eq. 14 |
| `x0` | 1: the error of the clean image itself | |
| `noise` | 1 / sigma^2: the error of the noise | Ho et al. 2020, Eq. 14 |
| `min_snr` | min(1 / sigma^2, 5) | Hang et al. 2023 (arXiv 2303.09556), Min-SNR-5 for predictions of the clean image |
"""

from __future__ import annotations

from typing import Literal, assert_never

import torch
from torch import Tensor

MOST_SNR = 5.0
"""gamma of Min-SNR: a signal-to-noise ratio above it counts as it."""


def weight(sigma: Tensor, name: Literal["x0", "noise", "min_snr"]) -> Tensor:
    """lambda(sigma) of the squared error of the clean image; any shape."""
    match name:
        case "x0":
            return torch.ones_like(sigma)
        case "noise":
            return sigma**-2
        case "min_snr":
            return (sigma**-2).clamp(max=MOST_SNR)
        case _:
            assert_never(name)
