"""What a stack is trained for: the noise level of an image, and the loss of a brick. One class a diffusion.

Legend: N images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import Protocol, assert_never

from torch import Tensor

from legoc_runtime.contract.schedule import chain_levels
from legoc_runtime.contract.settings import LossWeighting
from legoc_runtime.contract.stack import DdpmConstants, Diffusion, EdmConstants
from legoc_runtime.diffusion import edm
from legoc_runtime.diffusion.ddpm import VarianceLoss, noise_loss
from legoc_runtime.diffusion.weighting import weight
from legoc_runtime.randomness import Purpose, stream


class Objective(Protocol):
    """The training of one diffusion."""

    def noise_level(self, seed: int, position: int) -> float:
        """The noise level sigma of the image at a position of the run."""
        ...

    def loss(
        self, estimate: Tensor, clean: Tensor, sigma: Tensor, mask: Tensor | None, variance: Tensor | None
    ) -> Tensor:
        """The loss of one brick, image by image.

        Args:
            estimate: its estimate of the clean image, [N, C, H, W].
            clean: the clean image, [N, C, H, W].
            sigma: noise levels, [N].
            mask: 1 where the brick ran, 0 elsewhere, [N, 1, H, W]; None where it ran everywhere.
            variance: its variance, [N, C, H, W], where it learns one.

        Returns:
            [N]: the mean over the pixels that the brick ran.
        """
        ...


class EdmObjective:
    """EDM: log-normal noise levels, and the error weighted so that every level counts the same at first."""

    def __init__(self, constants: EdmConstants, weighting: LossWeighting = "diffusion") -> None:
        self._constants = constants
        self._weighting: LossWeighting = weighting

    def noise_level(self, seed: int, position: int) -> float:
        """See `Objective`."""
        return edm.noise_level(float(stream(seed, Purpose.NOISE_LEVEL, position).standard_normal()), self._constants)

    def loss(
        self, estimate: Tensor, clean: Tensor, sigma: Tensor, mask: Tensor | None, variance: Tensor | None
    ) -> Tensor:
        """See `Objective`; EDM has no variance."""
        loss = edm.brick_loss(estimate, clean, sigma, mask, self._constants.sigma_data)
        if self._weighting == "diffusion":
            return loss
        return loss * (weight(sigma, self._weighting) / edm.loss_weight(sigma, self._constants.sigma_data))


class DdpmObjective:
    """DDPM: a timestep of the chain, all alike; the error of the noise, and the bound of a learned variance."""

    def __init__(self, constants: DdpmConstants, weighting: LossWeighting = "diffusion") -> None:
        self._constants = constants
        self._weighting: LossWeighting = weighting
        self._variance: VarianceLoss | None = None

    def noise_level(self, seed: int, position: int) -> float:
        """See `Objective`."""
        t = int(stream(seed, Purpose.NOISE_LEVEL, position).integers(self._constants.steps))
        return chain_levels(self._constants)[t]

    def loss(
        self, estimate: Tensor, clean: Tensor, sigma: Tensor, mask: Tensor | None, variance: Tensor | None
    ) -> Tensor:
        """See `Objective`."""
        loss = noise_loss(estimate, clean, sigma, mask)
        if self._weighting not in ("diffusion", "noise"):
            loss = loss * (weight(sigma, self._weighting) * sigma**2)
        if variance is None:
            return loss
        if self._variance is None:
            self._variance = VarianceLoss(self._constants, sigma)
        return loss + self._variance(estimate, variance, clean, sigma, mask)


def objective_of(diffusion: Diffusion, weighting: LossWeighting = "diffusion") -> Objective:
    """The objective of a diffusion, its error weighted by noise level as `train: {loss_weighting}` says."""
    match diffusion:
        case EdmConstants():
            return EdmObjective(diffusion, weighting)
        case DdpmConstants():
            return DdpmObjective(diffusion, weighting)
        case _:
            assert_never(diffusion)
