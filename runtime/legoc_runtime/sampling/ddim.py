"""DDIM (Song et al. 2021, Eq. 12) on some timesteps of DDPM's chain.

Legend: x = x0 + sigma eps as everywhere, so that x_t of the papers is sqrt(abar_t) x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from legoc_runtime.contract.schedule import Evaluation, Level
from legoc_runtime.sampling.sampler import Denoiser, OnState, State, StepNoise
from legoc_runtime.sampling.start import preserving


@dataclass(frozen=True, slots=True)
class Ddim:
    """One call a step; noise is drawn where eta is above 0. Float64 state. Estimates are not clipped.

    Attributes:
        levels: the timesteps, noisiest first; the clean image follows.
        evaluations: the calls to make, one a step.
        eta: 0 is deterministic, 1 has the variance of DDPM's posterior.
    """

    levels: tuple[Level, ...]
    evaluations: tuple[Evaluation, ...]
    eta: float = 0.0

    def sigma_of(self, evaluation: Evaluation) -> float:
        """The noise level of an evaluation: its level's."""
        return self.levels[evaluation.level].sigma

    def begin(self, noise: Tensor, image: Tensor | None = None) -> Tensor:
        """The state at the first evaluation's level: see `sampler.Sampler`."""
        return preserving(noise, self.levels[self.evaluations[0].level], image)

    def __call__(self, x: Tensor, denoise: Denoiser, noise: StepNoise, on_state: OnState | None = None) -> Tensor:
        """Run the sampler: see `sampler.Sampler`."""
        sigmas = [*(level.sigma for level in self.levels), 0.0]
        for evaluation in self.evaluations:
            sigma, following = sigmas[evaluation.level], sigmas[evaluation.level + 1]
            if on_state is not None:
                on_state(State(evaluation.step, sigma, x))
            estimate = denoise(x, sigma, evaluation)
            eps = (x - estimate) / sigma
            fresh = self.fresh(sigma, following)
            x = estimate + math.sqrt(following**2 - fresh**2) * eps
            if fresh:
                x = x + fresh * noise(evaluation.step)
        if on_state is not None:
            on_state(State(len(self.levels), 0.0, x))
        return x

    def fresh(self, sigma: float, following: float) -> float:
        """The noise level of what a step draws: the paper's Eq. 16, over sqrt(abar) of where the step arrives."""
        return self.eta * following / sigma * math.sqrt(sigma**2 - following**2)
