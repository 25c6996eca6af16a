"""Loss weightings by name, each against its formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from legoc_runtime.contract.settings import LossWeighting
from legoc_runtime.contract.stack import DdpmConstants, Diffusion, EdmConstants
from legoc_runtime.diffusion.objective import objective_of

SIGMA = torch.tensor([0.1, 0.4, 1.0, 7.0], dtype=torch.float64)
LAMBDA: dict[LossWeighting, Tensor] = {
    "x0": torch.ones_like(SIGMA),
    "noise": 1 / SIGMA**2,
    "min_snr": torch.tensor([5.0, 5.0, 1.0, 1 / 49], dtype=torch.float64),
}


@pytest.mark.parametrize("diffusion", [EdmConstants(), DdpmConstants()])
@pytest.mark.parametrize("weighting", LAMBDA)
def test_lambda_times_the_mean_squared_error(diffusion: Diffusion, weighting: LossWeighting) -> None:
    generator = torch.Generator().manual_seed(0)
    clean, estimate = torch.randn(2, 4, 3, 4, 4, generator=generator, dtype=torch.float64)
    mask = torch.zeros(4, 1, 4, 4)
    mask[:, :, :2] = 1
    found = objective_of(diffusion, weighting).loss(estimate, clean, SIGMA, mask, None)
    expected = (estimate - clean)[:, :, :2].square().mean(dim=(1, 2, 3)) * LAMBDA[weighting]
    torch.testing.assert_close(found, expected)


def test_the_default_is_the_diffusions_own() -> None:
    clean, estimate = torch.ones(2, 4, 3, 4, 4, dtype=torch.float64) * torch.tensor([0.0, 1.0]).view(2, 1, 1, 1, 1)
    own = objective_of(EdmConstants(sigma_data=0.5)).loss(estimate, clean, SIGMA, None, None)
    torch.testing.assert_close(own, (SIGMA**2 + 0.25) / (SIGMA * 0.5) ** 2)
    noise = objective_of(DdpmConstants()).loss(estimate, clean, SIGMA, None, None)
    torch.testing.assert_close(noise, LAMBDA["noise"])
