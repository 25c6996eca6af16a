"""Heun against the public EDM sampler's trajectories (tests/reference/README.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from legoc_runtime.contract.schedule import edm_levels, heun_evaluations
from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.sampling.heun import MAX_GAMMA, Heun
from legoc_runtime.sampling.sampler import State

REFERENCE = Path(__file__).parents[1] / "reference" / "edm_sampler.safetensors"
CHURN = {"churn": 10.0, "churn_min": 0.05, "churn_max": 20.0, "churn_noise": 1.003}


@pytest.fixture(scope="module")
def reference():
    return load_file(REFERENCE)


@pytest.mark.parametrize("steps", [18, 256])
@pytest.mark.parametrize("kind", ["det", "churn"])
def test_the_trajectory_is_edms(reference, kind: str, steps: int):
    settings = CHURN if kind == "churn" else {}
    name, s, mu = f"{kind}{steps}", reference["s"], reference["mu"]
    states: list[State] = []
    called = []

    def denoise(x, sigma, evaluation):
        called.append((sigma, evaluation))
        return (s**2 * x + sigma**2 * mu) / (s**2 + sigma**2)

    def noise(step):
        return reference[f"{name}/noise"][step]

    sampler = Heun(edm_levels(steps, EdmConstants()), **settings)
    final = sampler(reference["latents"], denoise, noise, states.append)

    trajectory = torch.stack([state.x for state in states])
    assert final.dtype == torch.float64
    torch.testing.assert_close(trajectory, reference[f"{name}/trajectory"], rtol=0, atol=1e-12)
    torch.testing.assert_close(final, reference[f"{name}/final"], rtol=0, atol=1e-12)
    sigmas = torch.tensor([sigma for sigma, _ in called], dtype=torch.float64)
    torch.testing.assert_close(sigmas, reference[f"{name}/sigma_evaluated"], rtol=1e-14, atol=0)
    assert tuple(evaluation for _, evaluation in called) == heun_evaluations(steps)
    assert [state.step for state in states] == list(range(steps + 1))


def test_churn_acts_within_its_noise_levels_and_is_capped():
    sampler = Heun(edm_levels(18, EdmConstants()), churn=40, churn_min=0.05, churn_max=20)
    gammas = [(level.sigma, sampler.gamma(level)) for level in sampler.levels]
    assert all(gamma == (MAX_GAMMA if 0.05 <= sigma <= 20 else 0) for sigma, gamma in gammas)


def test_without_churn_no_noise_is_drawn():
    def noise(step):
        raise AssertionError(f"noise drawn at step {step}")

    sampler = Heun(edm_levels(4, EdmConstants()))
    start = torch.ones(1, 1, 2, 2)
    assert torch.equal(
        sampler(start, lambda x, sigma, evaluation: x * 0, noise),
        sampler(start, lambda x, s, e: x * 0, noise),
    )
