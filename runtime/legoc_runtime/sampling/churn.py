"""EDM's churn: noise that a sampler adds before a step, so that later steps can correct earlier ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from legoc_runtime.contract.schedule import Level
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.sampling.sampler import StepNoise

MAX_GAMMA = math.sqrt(2) - 1
"""Bound on gamma_i: churn at most doubles the variance of the noise."""


@dataclass(frozen=True, slots=True)
class Churn:
    """The four constants of EDM's Algorithm 2 (Karras et al. 2022; for LEGO: Appendix C of the paper).

    Attributes:
        amount: S_churn; 0 is deterministic.
        low: S_min.
        high: S_max.
        noise: S_noise.
    """

    amount: float = 0.0
    low: float = 0.0
    high: float = math.inf
    noise: float = 1.0

    @classmethod
    def of(cls, settings: SampleSettings) -> Churn:
        """The churn of a spec's settings."""
        return cls(settings.churn, settings.churn_min, settings.churn_max, settings.churn_noise)

    def gamma(self, level: Level) -> float:
        """gamma_i: the share by which churn raises the noise level; S_churn is spread over all steps."""
        if not self.low <= level.sigma <= self.high:
            return 0.0
        return min(self.amount / level.steps, MAX_GAMMA)

    def raised(self, level: Level) -> float:
        """t_hat: the noise level after churn."""
        return level.sigma * (1 + self.gamma(level))

    def apply(self, x: Tensor, level: Level, noise: StepNoise) -> tuple[Tensor, float]:
        """x_hat and t_hat (lines 4 to 6); noise is drawn only where churn acts."""
        if self.gamma(level) == 0:
            return x, level.sigma
        t_hat = self.raised(level)
        amount = math.sqrt(t_hat**2 - level.sigma**2) * self.noise
        return x + amount * noise(level.step), t_hat
