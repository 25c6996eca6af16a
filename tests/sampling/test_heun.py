"""Heun and Euler against the public EDM sampler's trajectories (tests/reference/README.md)."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from legoc_runtime.contract.schedule import Evaluation, edm_levels, evaluations, heun_evaluations
from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.sampling.churn import MAX_GAMMA, Churn
from legoc_runtime.sampling.heun import Heun
from legoc_runtime.sampling.sampler import State
from tests.reference_files import reference

EDM = reference("edm_sampler")
CHURN = Churn(10.0, 0.05, 20.0, 1.003)


def heun(steps: int, churn: Churn, name: Literal["heun", "euler"] = "heun") -> Heun:
    return Heun(edm_levels(steps, EdmConstants()), evaluations(name, steps), churn)


def no_noise(step: int) -> Tensor:
    raise AssertionError(f"noise drawn at step {step}")


class Analytic:
    """The reference's denoiser, which remembers how it was called."""

    def __init__(self) -> None:
        self.sigmas: list[float] = []
        self.evaluations: list[Evaluation] = []

    def __call__(self, x: Tensor, sigma: float, evaluation: Evaluation) -> Tensor:
        self.sigmas.append(sigma)
        self.evaluations.append(evaluation)
        s, mu = EDM["s"], EDM["mu"]
        return (s**2 * x + sigma**2 * mu) / (s**2 + sigma**2)


@pytest.mark.parametrize("steps", [18, 256])
@pytest.mark.parametrize("kind", ["det", "churn"])
def test_the_trajectory_is_edms(kind: str, steps: int) -> None:
    name, churn = f"{kind}{steps}", CHURN if kind == "churn" else Churn()
    states: list[State] = []
    denoise, sampler = Analytic(), heun(steps, churn)

    def noise(step: int) -> Tensor:
        return EDM[f"{name}/noise"][step]

    final = sampler(sampler.begin(EDM["latents"]), denoise, noise, states.append)

    trajectory = torch.stack([state.x for state in states])
    assert final.dtype == torch.float64
    torch.testing.assert_close(trajectory, EDM[f"{name}/trajectory"], rtol=0, atol=1e-12)
    torch.testing.assert_close(final, EDM[f"{name}/final"], rtol=0, atol=1e-12)
    sigmas = torch.tensor(denoise.sigmas, dtype=torch.float64)
    torch.testing.assert_close(sigmas, EDM[f"{name}/sigma_evaluated"], rtol=1e-14, atol=0)
    assert tuple(denoise.evaluations) == heun_evaluations(steps)
    assert [state.step for state in states] == list(range(steps + 1))


@pytest.mark.parametrize("steps", [18, 256])
def test_without_corrections_it_is_edms_euler(steps: int) -> None:
    denoise, sampler = Analytic(), heun(steps, Churn(), "euler")
    final = sampler(sampler.begin(EDM["latents"]), denoise, no_noise)
    torch.testing.assert_close(final, EDM[f"euler{steps}/final"], rtol=0, atol=1e-12)
    assert tuple(denoise.evaluations) == evaluations("euler", steps)


@pytest.mark.parametrize("steps", [75, 256])
def test_churn_is_spread_over_the_steps(steps: int) -> None:
    sampler, middle = heun(steps, CHURN), steps // 2
    sigma = sampler.levels[middle].sigma
    assert sampler.churn.gamma(sampler.levels[middle]) == 10 / steps
    assert sampler.sigma_of(Evaluation(middle, 1, middle)) == sigma * (1 + 10 / steps)
    assert sampler.sigma_of(Evaluation(middle - 1, 2, middle)) == sigma


def test_churn_acts_within_its_noise_levels_and_is_capped() -> None:
    sampler = heun(18, Churn(40, 0.05, 20))
    gammas = [(level.sigma, sampler.churn.gamma(level)) for level in sampler.levels]
    assert all(gamma == (MAX_GAMMA if 0.05 <= sigma <= 20 else 0) for sigma, gamma in gammas)


def test_without_churn_no_noise_is_drawn() -> None:
    sampler, start = heun(4, Churn()), torch.ones(1, 3, 8, 8)
    assert torch.equal(*(sampler(start, Analytic(), no_noise) for _ in range(2)))


def test_a_run_that_begins_later_is_the_rest_of_the_whole_run() -> None:
    whole = heun(18, Churn())
    states: list[State] = []
    final = whole(whole.begin(EDM["latents"]), Analytic(), no_noise, states.append)
    rest = Heun(whole.levels, tuple(found for found in whole.evaluations if found.step >= 7), Churn())
    assert torch.equal(rest(states[7].x, Analytic(), no_noise), final)
    image, noise = EDM["latents"] / 3, EDM["latents"]
    assert torch.equal(rest.begin(noise, image), image + whole.levels[7].sigma * noise)
