"""Preconditioning: what the network is fed, and what its output means. EDM, Karras et al. 2022, Table 1 and Eq. 7."""

from __future__ import annotations

import torch
from torch import Tensor


def edm_scales(sigma: Tensor, sigma_data: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """c_skip, c_out, c_in and c_noise = ln(sigma)/4, each [N]."""
    variance = sigma**2 + sigma_data**2
    return sigma_data**2 / variance, sigma * sigma_data / variance.sqrt(), variance.rsqrt(), sigma.log() / 4


def scale_image(image: Tensor, scale: Tensor) -> Tensor:
    """Image [N, C, H, W] times scale [N]."""
    return image * scale[:, None, None, None]


def precondition(image: Tensor, network: Tensor, c_skip: Tensor, c_out: Tensor) -> Tensor:
    """The estimate of the clean image, c_skip * image + c_out * network."""
    return scale_image(image, c_skip) + scale_image(network, c_out)


def unprecondition(clean: Tensor, image: Tensor, c_skip: Tensor, c_out: Tensor) -> Tensor:
    """The network output whose estimate is `clean`."""
    return scale_image(clean - scale_image(image, c_skip), 1 / c_out)


def fill_clean(estimate: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """`estimate` where mask [N, 1, H, W] is 1, `clean` elsewhere."""
    return torch.where(mask > 0.5, estimate, clean)


def no_estimate(like: Tensor) -> Tensor:
    """Zeros: no brick ran below."""
    return torch.zeros_like(like)


def detach(image: Tensor) -> Tensor:
    """The same image without its gradient."""
    return image.detach()


def cast(value: Tensor, dtype: torch.dtype) -> Tensor:
    """The same numbers in another type."""
    return value.to(dtype)
