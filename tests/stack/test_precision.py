"""What 16-bit weights may and may not touch: blocks compute in 16 bits, the state of a sampler stays float32."""

from __future__ import annotations

import pytest
import torch

from tests.stack.conditioned import ALL, SMALL, brick_stack

BOUND = {torch.bfloat16: 2e-2, torch.float16: 4e-3}
"""Largest error of the network's part of an estimate, over its largest value. Measured on a CPU: 1.0e-2 and 1.6e-3."""

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(4, 3, 16, 16, generator=GENERATOR)
LABELS = torch.tensor([0, 1, 4, 5])


def network_part(estimate: torch.Tensor, x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Estimate minus c_skip x, over c_out (EDM, Eq. 7)."""
    variance = sigma**2 + SMALL.edm.sigma_data**2
    return (estimate - SMALL.edm.sigma_data**2 / variance * x) / (sigma * SMALL.edm.sigma_data / variance**0.5)


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("configuration", [ALL, ("windows",), ("parts", "whole")], ids="+".join)
@torch.no_grad()
def test_sixteen_bit_weights_err_within_the_stated_bound(dtype, configuration):
    exact, rounded = brick_stack(), brick_stack(dtype=dtype)
    assert rounded.store.dtype == dtype
    for sigma in (0.5, 5.0):
        x = X * (sigma**2 + 0.25) ** 0.5
        one, other = (
            network_part(stack(x, torch.tensor(sigma), LABELS, configuration=configuration), x, sigma)
            for stack in (exact, rounded)
        )
        error = (one - other).abs().max() / one.abs().max()
        assert 0 < error <= BOUND[dtype]


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@torch.no_grad()
def test_no_float32_state_is_lost_to_sixteen_bits(dtype):
    """Near the end of a schedule an estimate is nearly its image: images through 16 bits would lose their low bits."""
    stack = brick_stack(dtype=dtype)
    sigma = torch.tensor(1e-6)
    estimate = stack(X, sigma, LABELS)
    assert estimate.dtype == torch.float32
    assert (estimate - X).abs().max() < 1e-4
    assert (X.to(dtype).float() - X).abs().max() > 2e-4
    # a level that 16 bits cannot tell from 80
    near, far = (stack(X, torch.tensor(level), LABELS) for level in (80.0, 80.02))
    assert torch.tensor(80.0, dtype=dtype) == torch.tensor(80.02, dtype=dtype)
    assert not torch.equal(near, far)


@torch.no_grad()
def test_a_float64_store_has_a_float64_state():
    stack = brick_stack(dtype=torch.float64)
    level = torch.tensor(1.0 + 1e-12, dtype=torch.float64)
    assert stack(X.double(), level, LABELS).dtype == torch.float64
    assert not torch.equal(stack(X.double(), level, LABELS), stack(X.double(), torch.tensor(1.0), LABELS))


def test_images_of_any_type_are_taken():
    stack = brick_stack()
    assert stack(X.half(), torch.tensor(1), LABELS).dtype == torch.float32
