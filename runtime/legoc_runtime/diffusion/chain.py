"""The arithmetic of DDPM's chain, or of some of its timesteps taken for a chain of their own. Torch-free.

Legend: beta_i = 1 - abar_i / abar_(i-1) with abar_(-1) = 1; the posterior is q(x_(i-1) | x_i, x0).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from legoc_runtime.contract.schedule import alphas_cumprod
from legoc_runtime.contract.stack import DdpmConstants


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of timesteps, noisier with each; two or more (Ho et al. 2020; respaced: Nichol and Dhariwal 2021).

    Attributes:
        signal: abar_i.
    """

    signal: tuple[float, ...]

    @classmethod
    def of(cls, ddpm: DdpmConstants, timesteps: Sequence[int] | None = None) -> Chain:
        """The chain of a diffusion, or of some of its timesteps, ascending."""
        signal = alphas_cumprod(ddpm)
        return cls(signal if timesteps is None else tuple(signal[t] for t in timesteps))

    @property
    def signal_before(self) -> tuple[float, ...]:
        """abar_(i-1), 1 before the first."""
        return (1.0, *self.signal[:-1])

    @property
    def betas(self) -> tuple[float, ...]:
        """beta_i."""
        return tuple(1.0 - after / before for before, after in pairwise((1.0, *self.signal)))

    @property
    def clean_shares(self) -> tuple[float, ...]:
        """Coefficients of x0 in the posterior's mean (Ho et al. 2020, Eq. 7)."""
        parts = zip(self.betas, self.signal_before, self.signal, strict=True)
        return tuple(beta * math.sqrt(before) / (1 - after) for beta, before, after in parts)

    @property
    def noisy_shares(self) -> tuple[float, ...]:
        """Coefficients of x_i in the posterior's mean."""
        parts = zip(self.betas, self.signal_before, self.signal, strict=True)
        return tuple((1 - before) * math.sqrt(1 - beta) / (1 - after) for beta, before, after in parts)

    @property
    def posterior_variances(self) -> tuple[float, ...]:
        """Variances of the posterior; 0 at the first timestep."""
        parts = zip(self.betas, self.signal_before, self.signal, strict=True)
        return tuple(beta * (1 - before) / (1 - after) for beta, before, after in parts)

    def log_variances(self, variance: Literal["fixed_small", "fixed_large"]) -> tuple[float, ...]:
        """Log variances of the reverse process: those of the posterior, or of beta.

        The first is that of the posterior at the second timestep, since there is no posterior's at the first (iDDPM).
        """
        second = self.posterior_variances[1]
        rest = self.posterior_variances[1:] if variance == "fixed_small" else self.betas[1:]
        return tuple(math.log(value) for value in (second, *rest))

    @property
    def log_betas(self) -> tuple[float, ...]:
        """The logarithms of beta_i, the upper end of a learned variance (Nichol and Dhariwal 2021, Eq. 15)."""
        return tuple(math.log(beta) for beta in self.betas)
