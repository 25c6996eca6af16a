"""DPM-Solver++(2M): its order, its exact cases, and diffusers' scheduler where diffusers is installed."""

from __future__ import annotations

import importlib
import importlib.util
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from legoc_runtime.contract.schedule import Evaluation, Level, edm_levels, evaluations
from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.sampling.dpmpp_2m import Dpmpp2M

S, MU = 0.5, 0.3
X = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def no_noise(step: int) -> Tensor:
    raise AssertionError(f"noise drawn at step {step}")


def gaussian(x: Tensor, sigma: float, evaluation: Evaluation) -> Tensor:
    """The exact denoiser of N(MU, S^2)."""
    return (S**2 * x + sigma**2 * MU) / (S**2 + sigma**2)


def solver(sigmas: list[float]) -> Dpmpp2M:
    levels = tuple(Level(i, len(sigmas), sigma) for i, sigma in enumerate(sigmas))
    return Dpmpp2M(levels, evaluations("dpmpp_2m", len(sigmas)))


def test_an_estimate_that_does_not_change_is_reached_in_any_number_of_steps():
    sampler = Dpmpp2M(edm_levels(5, EdmConstants()), evaluations("dpmpp_2m", 5))
    image = torch.full_like(X, 0.7)
    states: list[Any] = []
    assert torch.equal(sampler(sampler.begin(X), lambda x, sigma, evaluation: image, no_noise, states.append), image)
    # on the way every state is the image under the noise that it began with
    begun = (sampler.begin(X) - image) / sampler.levels[0].sigma
    for state in states:
        torch.testing.assert_close(state.x, image + state.sigma * begun, rtol=0, atol=1e-12)


def test_it_is_of_second_order():
    """Against the closed form of the flow, half the step leaves about a quarter of the error."""

    def error(steps: int) -> float:
        low, high = 0.05, 5.0
        sigmas = [high * (low / high) ** (i / steps) for i in range(steps + 1)]
        states: list[Any] = []
        solver(sigmas)(MU + X * math.hypot(S, high), gaussian, no_noise, states.append)
        return (states[steps].x - (MU + X * math.hypot(S, low))).abs().max().item()

    assert [error(steps) / error(2 * steps) for steps in (40, 80)] == [pytest.approx(4, abs=0.5)] * 2


def test_one_call_a_step_at_the_steps_own_level():
    called: list[tuple[float, Evaluation]] = []

    def denoise(x: Tensor, sigma: float, evaluation: Evaluation) -> Tensor:
        called.append((sigma, evaluation))
        return gaussian(x, sigma, evaluation)

    sampler = Dpmpp2M(edm_levels(6, EdmConstants()), evaluations("dpmpp_2m", 6))
    sampler(sampler.begin(X), denoise, no_noise)
    assert called == [(sampler.sigma_of(found), found) for found in evaluations("dpmpp_2m", 6)]


@pytest.mark.skipif(importlib.util.find_spec("diffusers") is None, reason="diffusers is not installed")
@pytest.mark.parametrize("steps", [5, 18])
def test_the_samples_are_those_of_diffusers_scheduler(steps: int) -> None:
    diffusers: Any = importlib.import_module("diffusers")
    theirs = diffusers.EDMDPMSolverMultistepScheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=S, rho=7.0)
    theirs.set_timesteps(steps)
    sampler = Dpmpp2M(edm_levels(steps, EdmConstants()), evaluations("dpmpp_2m", steps))
    sigmas = [float(sigma) for sigma in theirs.sigmas]
    assert sigmas == pytest.approx([*(level.sigma for level in sampler.levels), 0.0], rel=1e-5)
    x = sampler.begin(X)
    for i, t in enumerate(theirs.timesteps):
        # the scheduler preconditions by itself: the output F whose estimate is the denoiser's
        c_skip, c_out = S**2 / (sigmas[i] ** 2 + S**2), sigmas[i] * S / math.hypot(sigmas[i], S)
        output = (gaussian(x, sigmas[i], sampler.evaluations[i]) - c_skip * x) / c_out
        x = theirs.step(output, t, x).prev_sample
    own = sampler(sampler.begin(X), gaussian, no_noise)
    torch.testing.assert_close(own, x.double(), rtol=0, atol=1e-5)
