"""Noise schedules and a sampler's evaluations on them: the one truth that pictures, cost and sampler share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.errors import UsageError

MAX_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Level:
    """One noise level of a schedule, before churn.

    Attributes:
        step: index i of the level, 0 at pure noise.
        steps: number N of levels.
        sigma: standard deviation of the noise.
        guided: whether guidance acts at this level.
    """

    step: int
    steps: int
    sigma: float
    guided: bool = False

    @property
    def progress(self) -> float:
        """i/(N-1): 0 at pure noise, 1 at the last level."""
        return self.step / (self.steps - 1)

    @property
    def log_snr(self) -> float:
        """-2 log sigma."""
        return -2.0 * math.log(self.sigma)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One call of the stack within a sampling run.

    Attributes:
        step: the sampler's step, 0-based.
        order: 1 for the predictor, 2 for Heun's correction.
        level: index of the noise level that is evaluated. A correction belongs to the level that it evaluates.
    """

    step: int
    order: int
    level: int


def check_steps(steps: int) -> None:
    """Raise UsageError unless a schedule of `steps` levels exists (2 to 100,000)."""
    if not 2 <= steps <= MAX_STEPS:
        raise UsageError(
            f"a schedule needs 2 to {MAX_STEPS:,} steps, got {steps:,}",
            help="choose the number of noise levels with --steps or `sample: {steps: ...}`",
        )


def edm_levels(steps: int, edm: EdmConstants, *, guided: bool = False) -> tuple[Level, ...]:
    """The N noise levels of EDM (Karras et al. 2022, Eq. 5); the final 0 is not a level, nothing is evaluated there.

    sigma_i = (sigma_max^(1/rho) + i/(N-1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho
    """
    check_steps(steps)
    high, low = edm.sigma_max ** (1 / edm.rho), edm.sigma_min ** (1 / edm.rho)
    sigmas = ((high + i / (steps - 1) * (low - high)) ** edm.rho for i in range(steps))
    return tuple(Level(i, steps, sigma, guided) for i, sigma in enumerate(sigmas))


def heun_evaluations(steps: int) -> tuple[Evaluation, ...]:
    """The 2N-1 evaluations of Heun's method in order: a predictor each step, a correction each step but the last."""
    evaluations: list[Evaluation] = []
    for i in range(steps):
        evaluations.append(Evaluation(i, 1, i))
        if i + 1 < steps:
            evaluations.append(Evaluation(i, 2, i + 1))
    return tuple(evaluations)
