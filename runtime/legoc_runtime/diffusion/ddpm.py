"""DDPM (Ho et al. 2020) and iDDPM (Nichol and Dhariwal 2021): the loss of noise prediction and of a learned variance.

A stack gives the estimate of the clean image, x - sigma eps, so that its error is sigma times that of the noise.
Legend: N images, C channels, H rows, W columns, T timesteps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from legoc_runtime.contract.schedule import chain_levels
from legoc_runtime.contract.stack import DdpmConstants
from legoc_runtime.diffusion.bound import divergence, grey_level_cost, learned_log_variance
from legoc_runtime.diffusion.chain import Chain
from legoc_runtime.diffusion.masked import mean_where_run, where_run

BOUND_WEIGHT = 0.001
"""Weight of the variational bound, a sum over all timesteps, beside the noise's error (iDDPM, section 3.1)."""


def noise_loss(estimate: Tensor, clean: Tensor, sigma: Tensor, mask: Tensor | None) -> Tensor:
    """The squared error of the predicted noise, unweighted, image by image: [N] (Ho et al. 2020, Eq. 14).

    Args:
        estimate: the brick's estimate of the clean image, [N, C, H, W].
        clean: the clean image, [N, C, H, W].
        sigma: noise levels, [N].
        mask: 1 where the brick ran, [N, 1, H, W]; None where it ran everywhere.
    """
    return mean_where_run(where_run(estimate - clean, mask).square(), mask) / sigma**2


class VarianceLoss:
    """What teaches a learned variance: the variational bound at the image's timestep, its mean held fixed.

    Args:
        ddpm: the chain.
        like: gives device and type.
    """

    def __init__(self, ddpm: DdpmConstants, like: Tensor) -> None:
        chain = Chain.of(ddpm)

        def column(values: tuple[float, ...]) -> Tensor:
            return torch.tensor(values, dtype=like.dtype, device=like.device)

        self._levels = column(chain_levels(ddpm))
        self._shares = column(chain.clean_shares)
        self._smallest = column(chain.log_variances("fixed_small"))
        self._largest = column(chain.log_betas)
        # the bound is a sum over T timesteps, of which an image shows one
        self._weight = BOUND_WEIGHT * ddpm.steps

    def __call__(self, estimate: Tensor, v: Tensor, clean: Tensor, sigma: Tensor, mask: Tensor | None) -> Tensor:
        """The weighted bound, image by image: [N].

        Args:
            estimate: the brick's estimate of the clean image [N, C, H, W]; no gradient reaches it.
            v: its variance [N, C, H, W], from -1 to 1 between the posterior's and beta.
            clean: the clean image, [N, C, H, W].
            sigma: noise levels of the chain, [N].
            mask: 1 where the brick ran, [N, 1, H, W]; None where it ran everywhere.
        """
        return self._weight * mean_where_run(where_run(self.bits(estimate, v, clean, sigma, mask), mask), mask)

    def bits(self, estimate: Tensor, v: Tensor, clean: Tensor, sigma: Tensor, mask: Tensor | None) -> Tensor:
        """The bound in bits a dimension [N, C, H, W]; any finite number where the brick did not run."""
        t = torch.searchsorted(self._levels, sigma)
        shares, smallest, largest = (
            values[t][:, None, None, None] for values in (self._shares, self._smallest, self._largest)
        )
        log_variance = learned_log_variance(where_run(v, mask), smallest, largest)
        error = where_run(clean - estimate.detach(), mask)
        bits = divergence(shares * error, smallest, log_variance)
        # at timestep 0 the posterior's mean is the clean image, and what is paid for is its grey level
        last = grey_level_cost(clean, clean - error, log_variance)
        return torch.where((t == 0)[:, None, None, None], last, bits)
