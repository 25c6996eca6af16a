"""DDPM's chain and losses against the public implementation's, in float64 (tests/reference/README.md)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from legoc_runtime.contract.schedule import chain_levels, ddpm_timesteps
from legoc_runtime.contract.stack import DdpmConstants
from legoc_runtime.diffusion.chain import Chain
from legoc_runtime.diffusion.ddpm import VarianceLoss, noise_loss
from legoc_runtime.diffusion.objective import objective_of
from legoc_runtime.layers.scaling import ddpm_scales
from tests.reference_files import reference

STORED = reference("ddpm")
DDPM = DdpmConstants(variance="learned_range")


def close(ours: object, stored: str, rtol: float = 1e-10) -> None:
    torch.testing.assert_close(torch.as_tensor(ours, dtype=torch.float64), STORED[stored], rtol=rtol, atol=1e-15)


@pytest.mark.parametrize(("steps", "place"), [(1000, "base1000"), (10, "respace/10")])
def test_the_chain_and_its_respaced_one_are_the_public_ones(steps: int, place: str) -> None:
    chain = Chain.of(DDPM, ddpm_timesteps(steps, DDPM)[::-1])
    close(chain.signal, f"{place}/alphas_cumprod")
    close(chain.betas, f"{place}/betas")
    close(chain.clean_shares, f"{place}/posterior_mean_coef1")
    close(chain.noisy_shares, f"{place}/posterior_mean_coef2")
    close(chain.posterior_variances, f"{place}/posterior_variance")
    close(chain.log_variances("fixed_small"), f"{place}/posterior_log_variance_clipped")
    assert chain.log_variances("fixed_large")[1:] == chain.log_betas[1:]
    assert chain.log_variances("fixed_large")[0] == chain.log_variances("fixed_small")[0]


def training_case() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Estimate, variance, clean images and noise levels of the stored training batch."""
    t, clean, noise = STORED["train/t"], STORED["train/x_start"], STORED["train/noise"]
    eps, v = STORED["train/model_output"].chunk(2, dim=1)
    sigma = torch.tensor(chain_levels(DDPM), dtype=torch.float64)[t]
    x = clean + sigma[:, None, None, None] * noise
    signal = STORED["base1000/alphas_cumprod"][t][:, None, None, None]
    torch.testing.assert_close(x * signal.sqrt(), STORED["train/x_t"], rtol=1e-12, atol=1e-12)
    return x - sigma[:, None, None, None] * eps, v, clean, sigma


def test_the_training_loss_is_the_public_one() -> None:
    """The bound's weight of 0.001 on a sum over 1000 timesteps is 1 on the one timestep that an image shows."""
    estimate, v, clean, sigma = training_case()
    close(noise_loss(estimate, clean, sigma, None), "train/mse")
    close(VarianceLoss(DDPM, sigma)(estimate, v, clean, sigma, None), "train/vb")
    objective = objective_of(DDPM)
    close(objective.loss(estimate, clean, sigma, None, v), "train/loss")
    close(objective.loss(estimate, clean, sigma, None, None), "train/mse")
    half = DdpmConstants(steps=500, variance="learned_range")
    levels = torch.tensor(chain_levels(half), dtype=torch.float64)[torch.tensor([0, 7, 200, 499])]
    loss = VarianceLoss(half, levels)
    bits = loss.bits(estimate, v, clean, levels, None).mean(dim=(1, 2, 3))
    torch.testing.assert_close(loss(estimate, v, clean, levels, None), 0.5 * bits)


def test_the_bound_teaches_the_variance_alone() -> None:
    estimate, v, clean, sigma = training_case()
    estimate.requires_grad_()
    v = v.clone().requires_grad_()
    VarianceLoss(DDPM, sigma)(estimate, v, clean, sigma, None).sum().backward()  # pyright: ignore[reportUnknownMemberType]
    assert estimate.grad is None
    assert v.grad is not None
    assert (v.grad != 0).flatten(1).any(dim=1).all()


def test_the_loss_is_a_mean_over_the_windows_that_ran_and_blind_to_the_others() -> None:
    estimate, v, clean, sigma = training_case()
    mask = torch.zeros(len(clean), 1, 8, 8)
    mask[:, :, :4] = 1
    objective = objective_of(DDPM)
    expected = objective.loss(estimate[:, :, :4], clean[:, :, :4], sigma, None, v[:, :, :4])
    estimate, v = estimate.clone(), v.clone()
    estimate[:, :, 4:], v[:, :, 4:] = torch.nan, torch.inf
    v.requires_grad_()
    loss = objective.loss(estimate, clean, sigma, mask, v)
    torch.testing.assert_close(loss, expected)
    loss.sum().backward()  # pyright: ignore[reportUnknownMemberType]
    assert v.grad is not None
    assert torch.isfinite(v.grad).all()
    assert (v.grad[:, :, 4:] == 0).all()


def test_timesteps_are_drawn_alike_by_position() -> None:
    ddpm = DdpmConstants(steps=5)
    objective = objective_of(ddpm)
    drawn = [objective.noise_level(3, position) for position in range(400)]
    assert drawn == [objective.noise_level(3, position) for position in range(400)]
    counts = [drawn.count(level) for level in chain_levels(ddpm)]
    assert sum(counts) == 400
    assert min(counts) > 55


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_level_of_the_chain_is_its_timestep_exactly_and_others_lie_between(dtype: torch.dtype) -> None:
    levels = torch.tensor(chain_levels(DDPM), dtype=dtype)
    skip, out, scale, t, below = ddpm_scales(levels, levels)
    assert torch.equal(t, torch.arange(1000, dtype=dtype))
    assert torch.equal(skip, torch.ones_like(levels))
    assert torch.equal(out, -levels)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    for signal in (scale**2, below):
        torch.testing.assert_close(signal, STORED["base1000/alphas_cumprod"].to(dtype), rtol=tolerance, atol=0)
    middle = (levels[400] + levels[401]) / 2
    assert ddpm_scales(middle[None], levels)[3].item() == pytest.approx(400.5, abs=1e-3)
    beyond = torch.tensor([1e-4, 1e4], dtype=dtype)
    assert torch.equal(ddpm_scales(beyond, levels)[3], torch.tensor([0, 999], dtype=dtype))
    assert math.isclose(float(levels[999]), 157.4, rel_tol=1e-3)
