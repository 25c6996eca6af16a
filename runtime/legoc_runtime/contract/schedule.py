"""Noise schedules and a sampler's evaluations on them: the one truth that pictures, cost and sampler share."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from operator import mul
from typing import assert_never

from legoc_runtime.contract.samplers import SAMPLERS, Sampler
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import DdpmConstants, Diffusion, EdmConstants
from legoc_runtime.errors import UsageError

MAX_STEPS = 10_000

MIN_SIGNAL = 1e-20
"""The least alpha-bar that a DDPM chain may end with: below it nothing of the image is left to compute with."""


@dataclass(frozen=True, slots=True)
class Level:
    """One noise level of a schedule, before churn.

    Attributes:
        step: index i of the level, 0 at pure noise.
        steps: number N of levels.
        sigma: standard deviation of the noise.
        guided: whether guidance acts at this level.
        t: DDPM's timestep, 0 to T-1; None for EDM.
    """

    step: int
    steps: int
    sigma: float
    guided: bool = False
    t: int | None = None

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
    """Raise UsageError unless a schedule of `steps` levels exists (2 to 10,000)."""
    if not 2 <= steps <= MAX_STEPS:
        raise UsageError(
            f"a schedule needs 2 to {MAX_STEPS:,} steps, got {steps:,}",
            help="choose the number of noise levels with --steps or `sample: {steps: ...}`",
        )


def check_guidance(guidance: float) -> None:
    """Raise UsageError unless `guidance` is a scale of classifier-free guidance: finite, 0 or more."""
    if not (guidance >= 0 and math.isfinite(guidance)):
        raise UsageError(
            f"guidance must be 0 or more, got {guidance:g}", help="1 is none, 0 ignores the class, 1.5 to 4 is usual"
        )


@lru_cache(maxsize=16)
def edm_levels(steps: int, edm: EdmConstants, *, guided: bool = False) -> tuple[Level, ...]:
    """The N noise levels of EDM (Karras et al. 2022, Eq. 5); the final 0 is not a level, nothing is evaluated there.

    sigma_i = (sigma_max^(1/rho) + i/(N-1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho
    """
    check_steps(steps)
    high, low = edm.sigma_max ** (1 / edm.rho), edm.sigma_min ** (1 / edm.rho)
    sigmas = ((high + i / (steps - 1) * (low - high)) ** edm.rho for i in range(steps))
    return tuple(Level(i, steps, sigma, guided) for i, sigma in enumerate(sigmas))


@lru_cache(maxsize=8)
def alphas_cumprod(ddpm: DdpmConstants) -> tuple[float, ...]:
    """Alpha-bar of every timestep, 0 first: the product of 1 - beta (Ho et al. 2020, Eq. 4), betas linear."""
    last = ddpm.steps - 1
    betas = (ddpm.beta_start + (ddpm.beta_end - ddpm.beta_start) * t / last for t in range(ddpm.steps))
    return tuple(accumulate((1.0 - beta for beta in betas), mul))


@lru_cache(maxsize=8)
def chain_levels(ddpm: DdpmConstants) -> tuple[float, ...]:
    """The noise level of every timestep, 0 first: sigma = sqrt((1 - abar) / abar).

    Raises:
        UsageError: betas that leave no signal at the last timestep.
    """
    signal = alphas_cumprod(ddpm)
    if signal[-1] < MIN_SIGNAL:
        raise UsageError(
            f"nothing of the image is left after {ddpm.steps:,} timesteps with betas up to {ddpm.beta_end:g}",
            help="lower `beta_end`, or the `steps` of the diffusion",
        )
    return tuple(math.sqrt((1.0 - abar) / abar) for abar in signal)


def ddpm_timesteps(steps: int, ddpm: DdpmConstants) -> tuple[int, ...]:
    """The timesteps of a sampler with `steps` steps, descending from T-1 to 0, evenly spread.

    The stride (T-1)/(steps-1) is added up in floating point and rounded, ties to even, as DiT's sampler does.

    Raises:
        UsageError: the chain has fewer timesteps than that.
    """
    check_steps(steps)
    if steps > ddpm.steps:
        raise UsageError(
            f"{steps:,} steps on a diffusion of {ddpm.steps:,} timesteps",
            help=f"choose at most {ddpm.steps:,} with --steps or `sample: {{steps: ...}}`",
        )
    stride = (ddpm.steps - 1) / (steps - 1)
    running = accumulate([0.0, *[stride] * (steps - 1)])
    return tuple(reversed([round(at) for at in running]))


@lru_cache(maxsize=16)
def ddpm_levels(steps: int, ddpm: DdpmConstants, *, guided: bool = False) -> tuple[Level, ...]:
    """The noise levels of DDPM on `steps` of its timesteps.

    Raises:
        UsageError: no such number of steps, or betas that leave no signal at the last timestep.
    """
    sigmas = chain_levels(ddpm)
    return tuple(Level(i, steps, sigmas[t], guided, t) for i, t in enumerate(ddpm_timesteps(steps, ddpm)))


def noise_levels(steps: int, diffusion: Diffusion, *, guided: bool = False) -> tuple[Level, ...]:
    """The noise levels of a sampling run, from pure noise down.

    Args:
        steps: number of levels.
        diffusion: constants of the diffusion.
        guided: whether guidance acts.

    Raises:
        UsageError: the diffusion has no schedule of so many levels.
    """
    match diffusion:
        case EdmConstants():
            return edm_levels(steps, diffusion, guided=guided)
        case DdpmConstants():
            return ddpm_levels(steps, diffusion, guided=guided)
        case _:
            assert_never(diffusion)


def sampling_levels(sample: SampleSettings, diffusion: Diffusion) -> tuple[Level, ...]:
    """The noise levels of a spec's sampling, each with whether guidance acts there.

    Guidance other than 1 acts at every level, or at those above the first and up to the second bound of
    `guidance_interval` (Kynkaanniemi et al. 2024, Eq. 4).

    Raises:
        UsageError: the diffusion has no such schedule, or the interval is none.
    """
    levels = noise_levels(sample.steps, diffusion, guided=sample.guidance != 1)
    if sample.guidance == 1 or sample.guidance_interval == "all":
        return levels
    from legoc_runtime.contract.request import parse_interval  # most specs name no interval

    low, high = parse_interval(sample.guidance_interval) or (0.0, math.inf)
    return tuple(replace(level, guided=low < level.sigma <= high) for level in levels)


@lru_cache(maxsize=16)
def heun_evaluations(steps: int) -> tuple[Evaluation, ...]:
    """The 2N-1 evaluations of Heun's method in order: a predictor each step, a correction each step but the last."""
    evaluations: list[Evaluation] = []
    for i in range(steps):
        evaluations.append(Evaluation(i, 1, i))
        if i + 1 < steps:
            evaluations.append(Evaluation(i, 2, i + 1))
    return tuple(evaluations)


def evaluations(sampler: Sampler, steps: int) -> tuple[Evaluation, ...]:
    """The calls of the stack in a sampling run, in order: one a step, and where the sampler corrects a second one."""
    if SAMPLERS[sampler].corrects:
        return heun_evaluations(steps)
    return tuple(Evaluation(i, 1, i) for i in range(steps))
