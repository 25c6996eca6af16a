"""Exponential moving averages of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from legoc_runtime.checkpoint.layout import EMA_PREFIX, PROFILE_PREFIX, WEIGHTS
from legoc_runtime.contract.profiles import decay as decay_at
from legoc_runtime.contract.profiles import gamma_of


class Weights(Protocol):
    """What has weights: a store, or what a process holds of it."""

    @property
    def weights(self) -> Mapping[str, nn.Parameter]:
        """Weight key -> parameter."""
        ...


class Ema:
    """Averages of weights, one for every decay rate and one for every profile.

    The rate of step t (from 0) is min(decay, (1 + t) / (10 + t)), the warm-up of TensorFlow's
    ExponentialMovingAverage: with the rate alone, the average of a short run is mostly its initialisation.

    Attributes:
        averages: decay rate -> weight key -> average, on the weights' device.
        profiles: width of a power-function profile -> weight key -> average (`contract.profiles`).
    """

    def __init__(self, of: Weights, decays: Sequence[float], widths: Sequence[float] = ()) -> None:
        self._of = of
        self._gammas = {width: gamma_of(width) for width in widths}
        self.profiles: dict[float, dict[str, Tensor]] = {
            width: {key: weight.detach().clone() for key, weight in of.weights.items()} for width in widths
        }
        self.averages: dict[float, dict[str, Tensor]] = {
            decay: {key: weight.detach().clone() for key, weight in of.weights.items()} for decay in decays
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the averages towards the weights after step `step` (0 for the first)."""
        weights = [weight.detach() for weight in self._of.weights.values()]
        for decay, average in self.averages.items():
            rate = min(decay, (1 + step) / (10 + step))
            _lerp(list(average.values()), weights, 1 - rate)
        for width, average in self.profiles.items():
            _lerp(list(average.values()), weights, 1 - decay_at(step + 1, self._gammas[width]))

    def of_kind(self, kind: str) -> Mapping[str, Tensor] | None:
        """The average of a kind, as files are named: `ema-RATE`, `ema-profile-WIDTH`; None for `weights`."""
        if kind == WEIGHTS:
            return None
        if kind.startswith(PROFILE_PREFIX):
            return self.profiles[float(kind.removeprefix(PROFILE_PREFIX))]
        return self.averages[float(kind.removeprefix(EMA_PREFIX))]

    def load(self, decay: float, tensors: Mapping[str, Tensor]) -> None:
        """Take the averages of a rate from a checkpoint; keys and shapes are the weights' own."""
        self.take(self.averages[decay], tensors)

    @torch.no_grad()
    def take(self, average: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
        """Take one of the averages here from a checkpoint."""
        for key, tensor in average.items():
            tensor.copy_(tensors[key])


def _lerp(averages: list[Tensor], weights: list[Tensor], weight: float) -> None:
    # one call for all; the list form of Tensor.lerp_ has no public name
    torch._foreach_lerp_(averages, weights, weight)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
