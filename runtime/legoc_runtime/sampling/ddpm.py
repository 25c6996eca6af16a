"""DDPM's ancestral sampler (Ho et al. 2020, Algorithm 2) on some timesteps of its chain (iDDPM's respacing).

Legend: x = x0 + sigma eps as everywhere, so that x_t of the papers is sqrt(abar_t) x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from legoc_runtime.contract.schedule import Evaluation, Level
from legoc_runtime.contract.stack import DdpmConstants
from legoc_runtime.diffusion.bound import learned_log_variance
from legoc_runtime.diffusion.chain import Chain
from legoc_runtime.sampling.sampler import Denoiser, OnState, State, StepNoise
from legoc_runtime.sampling.start import preserving


@dataclass(frozen=True, slots=True)
class Ancestral:
    """One call and one draw of noise a step, none after the last; float64 state. Estimates are not clipped.

    Attributes:
        levels: the timesteps, noisiest first; the clean image follows.
        evaluations: the calls to make, one a step.
        diffusion: the chain that the timesteps are of, and which variance the noise has.
    """

    levels: tuple[Level, ...]
    evaluations: tuple[Evaluation, ...]
    diffusion: DdpmConstants

    def sigma_of(self, evaluation: Evaluation) -> float:
        """The noise level of an evaluation: its level's."""
        return self.levels[evaluation.level].sigma

    def begin(self, noise: Tensor, image: Tensor | None = None) -> Tensor:
        """The state at the first evaluation's level: see `sampler.Sampler`."""
        return preserving(noise, self.levels[self.evaluations[0].level], image)

    def __call__(self, x: Tensor, denoise: Denoiser, noise: StepNoise, on_state: OnState | None = None) -> Tensor:
        """Run the sampler: see `sampler.Sampler`. With a learned variance `denoise` gives its channels too."""
        chain = Chain.of(self.diffusion, [level.t for level in reversed(self.levels) if level.t is not None])
        clean, noisy, before = chain.clean_shares, chain.noisy_shares, chain.signal_before
        smallest, largest = self._log_variances(chain)
        for evaluation in self.evaluations:
            if on_state is not None:
                on_state(State(evaluation.step, self.sigma_of(evaluation), x))
            i = len(self.levels) - 1 - evaluation.level
            estimate, v = self._parts(denoise(x, self.sigma_of(evaluation), evaluation))
            x_next = clean[i] * estimate + noisy[i] * math.sqrt(chain.signal[i]) * x
            if i > 0:
                low, high = x.new_tensor(smallest[i]), x.new_tensor(largest[i])
                x_next += (0.5 * learned_log_variance(v, low, high)).exp() * noise(evaluation.step)
            x = x_next / math.sqrt(before[i])
        if on_state is not None:
            on_state(State(len(self.levels), 0.0, x))
        return x

    def _log_variances(self, chain: Chain) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Between which two, timestep by timestep, the logarithm of the reverse process's variance lies."""
        match self.diffusion.variance:
            case "learned_range":
                return chain.log_variances("fixed_small"), chain.log_betas
            case "fixed_small" | "fixed_large" as fixed:
                return chain.log_variances(fixed), chain.log_variances(fixed)

    def _parts(self, result: Tensor) -> tuple[Tensor, Tensor]:
        """The estimate of the clean image, and the place of the variance between its bounds, from -1 to 1."""
        if self.diffusion.variance != "learned_range":
            return result, result.new_zeros(())
        estimate, v = result.chunk(2, dim=1)
        return estimate, v
