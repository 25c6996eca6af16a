"""EDM's sampler: Heun's method with churn (Karras et al. 2022, Algorithm 2; Algorithm 1 at churn 0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from torch import Tensor

from legoc_runtime.contract.schedule import Evaluation, Level
from legoc_runtime.sampling.churn import Churn
from legoc_runtime.sampling.sampler import Denoiser, OnState, State, StepNoise
from legoc_runtime.sampling.start import exploding


@dataclass(frozen=True, slots=True)
class Heun:
    """Algorithm 2 with t = sigma. The state is float64 throughout.

    Attributes:
        levels: t_0 > ... > t_{N-1}; t_N = 0 follows.
        evaluations: the calls to make; a step without a correction among them is Euler's.
        churn: the constants of churn.
    """

    levels: tuple[Level, ...]
    evaluations: tuple[Evaluation, ...]
    churn: Churn

    def sigma_of(self, evaluation: Evaluation) -> float:
        """The noise level of an evaluation: after churn for a predictor, the level's own for a correction."""
        level = self.levels[evaluation.level]
        return self.churn.raised(level) if evaluation.order == 1 else level.sigma

    def begin(self, noise: Tensor, image: Tensor | None = None) -> Tensor:
        """The state at the first evaluation's level: see `sampler.Sampler`."""
        return exploding(noise, self.levels[self.evaluations[0].level], image)

    def __call__(self, x: Tensor, denoise: Denoiser, noise: StepNoise, on_state: OnState | None = None) -> Tensor:
        """Run the sampler: see `sampler.Sampler`."""
        t = [*(level.sigma for level in self.levels), 0.0]
        for step, calls in groupby(self.evaluations, key=lambda evaluation: evaluation.step):
            if on_state is not None:
                on_state(State(step, t[step], x))
            x_hat, t_hat = self.churn.apply(x, self.levels[step], noise)
            x = _step(x_hat, t_hat, t[step + 1], denoise, list(calls))
        if on_state is not None:
            on_state(State(len(self.levels), 0.0, x))
        return x


def _step(x_hat: Tensor, t_hat: float, t_next: float, denoise: Denoiser, calls: Sequence[Evaluation]) -> Tensor:
    """Euler's step, and Heun's correction where the schedule has one (lines 7 to 11)."""
    predictor, *corrections = calls
    d = (x_hat - denoise(x_hat, t_hat, predictor)) / t_hat
    x_next = x_hat + (t_next - t_hat) * d
    for correction in corrections:
        d_prime = (x_next - denoise(x_next, t_next, correction)) / t_next
        x_next = x_hat + (t_next - t_hat) * (0.5 * d + 0.5 * d_prime)
    return x_next
