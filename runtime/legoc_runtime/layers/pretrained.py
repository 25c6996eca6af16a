"""A model that is trained already, as a brick: its noise level, its input and its output become those of the stack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import assert_never, cast

import torch
from torch import Tensor, nn

from legoc_runtime.contract.stack import PretrainedShape
from legoc_runtime.errors import RunError
from legoc_runtime.layers.scaling import scale_image, timestep_of


class PretrainedNetwork(nn.Module, ABC):
    """What an adapter gives: a network and its weights by name."""

    def named_weights(self) -> dict[str, nn.Parameter]:
        """The weights by the names that the contract lists."""
        return dict(self.named_parameters())

    def changed(self) -> None:
        """Called when the weights changed: what is derived from them is remade."""

    @abstractmethod
    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None) -> Tensor:
        """Its prediction [N, C, H, W], of an image as it expects it and its own noise level (timestep or sigma) [N]."""


class PretrainedBrick(nn.Module):
    """The clean image's estimate by a model: (x, sigma, labels) to [N, C, H, W].

    Nothing in it is drawn at random: it stays in evaluation mode, also where it is trained.

    Args:
        shape: what it is.
        network: the model.

    Attributes:
        weights: weight key -> parameter, of a model that trains; empty for a frozen one.

    Raises:
        RunError: the weights of the model are not those that the contract lists.
    """

    levels: Tensor

    def __init__(self, shape: PretrainedShape, network: PretrainedNetwork) -> None:
        super().__init__()
        self.network = network.eval()
        self._shape = shape
        levels = torch.tensor(shape.sigmas, dtype=torch.float64)
        self.register_buffer("levels", levels.to(network_device(network)), persistent=False)
        named = network.named_weights()
        given = {name: tuple(weight.shape) for name, weight in named.items()}
        if shape.weights and given != dict(shape.weights):
            raise RunError(
                f"the model of brick `{shape.id}` has other weights than the build says", help="build it again"
            )
        network.requires_grad_(not shape.frozen)
        self.weights = {} if shape.frozen else {f"pretrained.{shape.id}.{name}": w for name, w in named.items()}

    def train(self, mode: bool = True) -> PretrainedBrick:
        """Stays in evaluation mode."""
        return super().train(False)

    def changed(self) -> None:
        """Called when the weights changed."""
        self.network.changed()

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        """The estimate [N, C, H, W] of images x0 + sigma eps [N, C, H, W] at noise levels [N]."""
        labels = None if self._shape.classes is None else labels
        if not self._shape.sigmas:
            return cast("Tensor", self.network(x, sigma, labels)).to(x)
        scale = (1 + sigma**2).rsqrt()  # sqrt(abar): the chain has x_t = sqrt(abar) x
        noisy = scale_image(x, scale)
        found = cast("Tensor", self.network(noisy, timestep_of(sigma, self.levels.to(sigma.dtype)), labels)).to(x)
        match self._shape.predicts:
            case "x0" | "sample":
                return found
            case "epsilon":  # x0 = x - sigma eps
                return x - scale_image(found, sigma)
            case "v_prediction":  # v = sqrt(abar) eps - sqrt(1 - abar) x0 (Salimans and Ho 2022, Appendix D)
                return scale_image(noisy, scale) - scale_image(found, sigma * scale)
            case _:
                assert_never(self._shape.predicts)


class PretrainedWeights(nn.Module):
    """The weights of a pretrained brick without its model: what is linked to be read, and never run.

    Args:
        shape: what it is.
        device: where the weights live.
        dtype: their type.
    """

    def __init__(self, shape: PretrainedShape, *, device: str | torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self._id = shape.id
        self.weights = {
            key: nn.Parameter(torch.empty(sides, device=device, dtype=dtype))
            for key, sides in shape.stored_weights.items()
        }

    def changed(self) -> None:
        """Nothing is derived here."""

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        """Refuses.

        Raises:
            RunError: always.
        """
        raise RunError(f"the model of brick `{self._id}` was not opened", help="load the stack from its build")


def network_device(network: nn.Module) -> torch.device:
    """Where a model's weights live; the CPU for one without any."""
    return next((weight.device for weight in network.parameters()), torch.device("cpu"))
