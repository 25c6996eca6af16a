"""Preconditioning: what the network is fed, and what its output means.

EDM: Karras et al. 2022, Table 1 and Eq. 7. DDPM: noise prediction in the same form (`contract/chain_ops.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor


def edm_scales(sigma: Tensor, sigma_data: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """c_skip, c_out, c_in and c_noise = ln(sigma)/4, each [N]."""
    variance = sigma**2 + sigma_data**2
    return sigma_data**2 / variance, sigma * sigma_data / variance.sqrt(), variance.rsqrt(), sigma.log() / 4


def ddpm_scales(sigma: Tensor, levels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """c_skip = 1, c_out = -sigma, c_in = sqrt(abar), c_noise, the timestep of sigma, and c_below = abar, each [N].

    Args:
        sigma: noise levels [N].
        levels: the noise level of every timestep of the chain, ascending [T].
    """
    signal = 1 / (1 + sigma**2)
    return torch.ones_like(sigma), -sigma, signal.sqrt(), timestep_of(sigma, levels), signal


def timestep_of(sigma: Tensor, levels: Tensor) -> Tensor:
    """The timestep whose noise level is sigma [N], between two of them in proportion, the first or last beyond them.

    Args:
        sigma: noise levels [N].
        levels: the noise level of every timestep of the chain, ascending [T].
    """
    below = (torch.searchsorted(levels, sigma.contiguous(), right=True) - 1).clamp(0, len(levels) - 2)
    low, high = levels[below], levels[below + 1]
    # linear between two timesteps, so that a level of the chain is its timestep exactly, and never one beside it
    timestep = below + ((sigma - low) / (high - low)).clamp(0, 1)
    return timestep.to(sigma)


def take_channels(image: Tensor, first: int, count: int) -> Tensor:
    """Channels of an image [N, C, H, W]: [N, count, H, W]."""
    return image[:, first : first + count]


def join_channels(images: list[Tensor]) -> Tensor:
    """Images one after another along channels."""
    return torch.cat(images, dim=1)


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


def lower_level(sigma: Tensor, scale: float, lowest: float) -> Tensor:
    """`scale` times sigma [N], but no less than `lowest`, and never more than sigma."""
    return torch.maximum(scale * sigma, sigma.clamp(max=lowest))


def less_noise(estimate: Tensor, image: Tensor, sigma: Tensor, level: Tensor) -> Tensor:
    """Image [N, C, H, W] at noise level sigma [N], at a lower level [N] on the way to an estimate of the clean one."""
    return estimate + scale_image(image - estimate, level / sigma)


def detach(image: Tensor) -> Tensor:
    """The same image without its gradient."""
    return image.detach()


def cast(value: Tensor, dtype: torch.dtype) -> Tensor:
    """The same numbers in another type."""
    return value.to(dtype)
