"""DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2): a multistep solver of second order for few evaluations."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from legoc_runtime.contract.schedule import Evaluation, Level
from legoc_runtime.sampling.sampler import Denoiser, OnState, State, StepNoise
from legoc_runtime.sampling.start import exploding


@dataclass(frozen=True, slots=True)
class Dpmpp2M:
    """Data prediction, midpoint form, over EDM's noise levels; one call a step, deterministic, float64 state.

    With alpha = 1 and lambda = -log sigma, a step from sigma_i to sigma_j over h = lambda_j - lambda_i is
    x_j = (sigma_j / sigma_i) x_i - (exp(-h) - 1) D, where D extrapolates the last two estimates to the middle of the
    step. The first step has one estimate; at sigma 0 the step is x = D(x_i; sigma_i), as h is infinite there.

    Attributes:
        levels: sigma_0 > ... > sigma_{N-1}; 0 follows.
        evaluations: the calls to make, one a step.
    """

    levels: tuple[Level, ...]
    evaluations: tuple[Evaluation, ...]

    def sigma_of(self, evaluation: Evaluation) -> float:
        """The noise level of an evaluation: its level's."""
        return self.levels[evaluation.level].sigma

    def begin(self, noise: Tensor, image: Tensor | None = None) -> Tensor:
        """The state at the first evaluation's level: see `sampler.Sampler`."""
        return exploding(noise, self.levels[self.evaluations[0].level], image)

    def __call__(self, x: Tensor, denoise: Denoiser, noise: StepNoise, on_state: OnState | None = None) -> Tensor:
        """Run the sampler: see `sampler.Sampler`."""
        sigmas = [*(level.sigma for level in self.levels), 0.0]
        before: tuple[Tensor, float] | None = None
        for evaluation in self.evaluations:
            sigma, following = sigmas[evaluation.step], sigmas[evaluation.step + 1]
            if on_state is not None:
                on_state(State(evaluation.step, sigma, x))
            estimate = denoise(x, sigma, evaluation)
            if following == 0:
                x = estimate
                continue
            h = math.log(sigma / following)
            x = following / sigma * x - math.expm1(-h) * _extrapolated(estimate, h, before)
            before = (estimate, h)
        if on_state is not None:
            on_state(State(len(self.levels), 0.0, x))
        return x


def _extrapolated(estimate: Tensor, h: float, before: tuple[Tensor, float] | None) -> Tensor:
    """D: (1 + 1/2r) D_i - (1/2r) D_{i-1} with r = h_{i-1} / h_i; D_i where there is no estimate before it."""
    if before is None:
        return estimate
    last, last_h = before
    weight = h / (2 * last_h)
    return (1 + weight) * estimate - weight * last
