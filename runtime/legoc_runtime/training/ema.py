"""Exponential moving averages of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from legoc_runtime.contract.profiles import decay as decay_at
from legoc_runtime.contract.profiles import gamma_of
from legoc_runtime.store import WeightStore


class Ema:
    """Averages of a store's weights, one for every decay rate and one for every profile.

    The rate of step t (from 0) is min(decay, (1 + t) / (10 + t)), the warm-up of TensorFlow's
    ExponentialMovingAverage: with the rate alone, the average of a short run is mostly its initialisation.

    Attributes:
        averages: decay rate -> weight key -> average, on the weights' device.
        profiles: width of a power-function profile -> weight key -> average (`contract.profiles`).
    """

    def __init__(self, store: WeightStore, decays: Sequence[float], widths: Sequence[float] = ()) -> None:
        self._store = store
        self._gammas = {width: gamma_of(width) for width in widths}
        self.profiles: dict[float, dict[str, Tensor]] = {
            width: {key: weight.detach().clone() for key, weight in store.weights.items()} for width in widths
        }
        self.averages: dict[float, dict[str, Tensor]] = {
            decay: {key: weight.detach().clone() for key, weight in store.weights.items()} for decay in decays
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the averages towards the weights after step `step` (0 for the first)."""
        weights = [weight.detach() for weight in self._store.weights.values()]
        for decay, average in self.averages.items():
            rate = min(decay, (1 + step) / (10 + step))
            _lerp(list(average.values()), weights, 1 - rate)
        for width, average in self.profiles.items():
            _lerp(list(average.values()), weights, 1 - decay_at(step + 1, self._gammas[width]))

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
