"""Leaves that compute from derived weights: made once for every state of the weights, never trained, never saved.

Where gradients are wanted, the same is computed from the weights themselves, in the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from legoc_runtime.layers.adjacent import adjacent
from legoc_runtime.layers.leaves import Coordinates, Embed, Modulate
from legoc_runtime.layers.patching import Cutting, cut_coordinates

T = TypeVar("T")


class Derive(Protocol):
    """How a store keeps what is made of its weights."""

    def __call__(self, name: str, make: Callable[[], T], /) -> T:
        """What `make` gives, kept under `name` until the weights change."""
        ...


def wants_gradient(weight: Tensor) -> bool:
    """Whether what is computed from a weight now must reach it backwards."""
    return torch.is_grad_enabled() and weight.requires_grad


class FoldedEmbed(nn.Module):
    """Embeds what images bring, and adds the rest as one constant (`contract.pass_ops.EmbedFolded`).

    Args:
        embed: the brick's embedding.
        coordinates: the stack's coordinate channels, or None when it reads none.
        cutting: the brick's layout.
        channels: first input channel that the tokens hold, and how many they hold.
        derive: keeps the constant.
        name: of the constant, the same for every module of a brick.
    """

    def __init__(
        self,
        embed: Embed,
        coordinates: Coordinates | None,
        cutting: Cutting,
        channels: tuple[int, int],
        derive: Derive,
        name: str,
    ) -> None:
        super().__init__()
        self.embed = embed
        self.coordinates = coordinates
        self._cutting = cutting
        self._channels = channels
        self._derive: Derive = derive
        self._name = name

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [N, W, L, F] to [N, W, L, D]."""
        if wants_gradient(self.embed.weight):
            return self.embed(tokens, self._channels, coordinates=self._cut())
        constant = self._derive(self._name, lambda: self.embed.constant(self._cut()))
        return self.embed(tokens, self._channels, constant=constant)

    def _cut(self) -> Tensor:
        """Coordinates as tokens [W, L, 2*p*p], or [1, L, 0]."""
        if self.coordinates is None:
            return self.embed.position.new_empty(1, self.embed.position.shape[0], 0)
        return cut_coordinates(self.coordinates(), self._cutting)


class JointModulate(nn.Module):
    """Modulation layers as one matrix product. Where the store lays them side by side, their weights are a view of it.

    Args:
        layers: in the order of the result.
        derive: keeps the concatenation where there is no view.
        name: of that concatenation.
    """

    def __init__(self, layers: Sequence[Modulate], derive: Derive, name: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._modulates = tuple(layers)
        self._derive: Derive = derive
        self._name = name

    def forward(self, condition: Tensor) -> Tensor:
        """Conditioning [N, C] to the results of all layers, concatenated [N, features]."""
        weights = self._together("weight", [layer.weight for layer in self._modulates])
        return linear(condition, weights, self._together("bias", [layer.bias for layer in self._modulates]))

    def _together(self, which: str, parts: Sequence[Tensor]) -> Tensor:
        if wants_gradient(parts[0]):
            return torch.cat(list(parts))
        return self._derive(f"{self._name}.{which}", lambda: _view_or_copy(parts))


def _view_or_copy(parts: Sequence[Tensor]) -> Tensor:
    view = adjacent(parts)
    return torch.cat([part.detach() for part in parts]) if view is None else view


def split_modulations(joined: Tensor, start: int, depth: int, width: int) -> tuple[Tensor, ...]:
    """The modulations of one brick, read out of `joined` [N, features] from feature `start` on, each contiguous.

    Returns:
        [N, 6 * width] for each of `depth` blocks, then [N, 2 * width] for the last layer.
    """
    blocks = joined[:, start : start + 6 * depth * width].reshape(-1, depth, 6 * width).transpose(0, 1)
    last = joined[:, start + 6 * depth * width :][:, : 2 * width]
    return (*blocks.contiguous().unbind(0), last.contiguous())
