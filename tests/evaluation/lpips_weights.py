"""Weights of LPIPS drawn at random, under the names of torchvision and of the package `lpips`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from legoc_runtime.evaluation.lpips import TRUNKS, Trunk


def lpips_weights(trunk: Trunk) -> dict[str, Tensor]:
    """Trunk and heads of one network: those that the numbers in the tests were recorded with."""
    random = np.random.default_rng(7)
    weights: dict[str, Tensor] = {}
    given, taps = 3, 0
    for layer in TRUNKS[trunk]:
        shape = (layer.channels, given, layer.kernel, layer.kernel)
        spread = np.float32((2 / (given * layer.kernel**2)) ** 0.5)
        weights[f"features.{layer.index}.weight"] = torch.tensor(
            random.standard_normal(shape, dtype=np.float32) * spread
        )
        weights[f"features.{layer.index}.bias"] = torch.tensor(
            random.standard_normal(layer.channels, dtype=np.float32) / 10
        )
        if layer.tap:
            head = random.random((1, layer.channels, 1, 1), dtype=np.float32)
            weights[f"lin{taps}.model.1.weight"] = torch.tensor(head)
            taps += 1
        given = layer.channels
    return weights


def pictures(size: tuple[int, int], seed: int) -> Tensor:
    """Two pictures [2, 3, H, W] in [-1, 1]."""
    return torch.tensor(np.random.default_rng(seed).random((2, 3, *size), dtype=np.float32) * 2 - 1)
