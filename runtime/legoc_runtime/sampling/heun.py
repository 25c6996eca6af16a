"""EDM's sampler: Heun's method with churn (Karras et al. 2022, Algorithm 2; Algorithm 1 at churn 0)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from legoc_runtime.contract.schedule import Evaluation, Level, heun_evaluations
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.sampling.sampler import Denoiser, OnState, State, StepNoise

MAX_GAMMA = math.sqrt(2) - 1
"""Bound on gamma_i: churn at most doubles the variance of the noise."""


@dataclass(frozen=True, slots=True)
class Heun:
    """Algorithm 2 with t = sigma. The state is float64 throughout.

    Attributes:
        levels: t_0 > ... > t_{N-1}; t_N = 0 follows.
        churn: S_churn; 0 is deterministic.
        churn_min: S_min.
        churn_max: S_max.
        churn_noise: S_noise.
    """

    levels: tuple[Level, ...]
    churn: float = 0.0
    churn_min: float = 0.0
    churn_max: float = math.inf
    churn_noise: float = 1.0

    @classmethod
    def of(cls, levels: Sequence[Level], settings: SampleSettings) -> Heun:
        """The sampler of a spec's settings over a schedule."""
        return cls(tuple(levels), settings.churn, settings.churn_min, settings.churn_max, settings.churn_noise)

    def gamma(self, level: Level) -> float:
        """gamma_i: the share by which churn raises the noise level."""
        if not self.churn_min <= level.sigma <= self.churn_max:
            return 0.0
        return min(self.churn / len(self.levels), MAX_GAMMA)

    def sigma_of(self, evaluation: Evaluation) -> float:
        """The noise level of an evaluation: after churn for a predictor, the level's own for a correction."""
        level = self.levels[evaluation.level]
        return level.sigma * (1 + self.gamma(level)) if evaluation.order == 1 else level.sigma

    def __call__(self, start: Tensor, denoise: Denoiser, noise: StepNoise, on_state: OnState | None = None) -> Tensor:
        """Run the sampler: see `sampler.Sampler`."""
        t = [*(level.sigma for level in self.levels), 0.0]
        x = start.to(torch.float64) * t[0]
        for step, calls in groupby(heun_evaluations(len(self.levels)), key=lambda evaluation: evaluation.step):
            if on_state is not None:
                on_state(State(step, t[step], x))
            x_hat, t_hat = self._churned(x, self.levels[step], noise)
            x = _step(x_hat, t_hat, t[step + 1], denoise, list(calls))
        if on_state is not None:
            on_state(State(len(self.levels), 0.0, x))
        return x

    def _churned(self, x: Tensor, level: Level, noise: StepNoise) -> tuple[Tensor, float]:
        """x_hat and t_hat (lines 4 to 6)."""
        gamma = self.gamma(level)
        if gamma == 0:
            return x, level.sigma
        t_hat = level.sigma * (1 + gamma)
        amount = math.sqrt(t_hat**2 - level.sigma**2) * self.churn_noise
        return x + amount * noise(level.step), t_hat


def _step(x_hat: Tensor, t_hat: float, t_next: float, denoise: Denoiser, calls: list[Evaluation]) -> Tensor:
    """Euler's step, and Heun's correction where the schedule has one (lines 7 to 11)."""
    predictor, *corrections = calls
    d = (x_hat - denoise(x_hat, t_hat, predictor)) / t_hat
    x_next = x_hat + (t_next - t_hat) * d
    for correction in corrections:
        d_prime = (x_next - denoise(x_next, t_next, correction)) / t_next
        x_next = x_hat + (t_next - t_hat) * (0.5 * d + 0.5 * d_prime)
    return x_next
