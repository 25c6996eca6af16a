"""What a step computes in: autocast over float32 weights, and a scaled loss for float16."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from legoc_runtime.backends.device import choose_dtype
from legoc_runtime.contract.settings import Precision

FIRST_SCALE = 2.0**16
GROWTH_STEPS = 2000
"""Steps without an overflow after which the scale is doubled (Micikevicius et al. 2018, section 3.2)."""


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Products in the type of a precision; what needs the range of float32 stays there. Weights are float32 always."""
    return torch.autocast(device.type, dtype=choose_dtype(precision), enabled=precision != "float32")


class LossScale:
    """The factor of the loss in float16, so that small gradients do not vanish. All of it lives on the device.

    It halves after every step whose gradient overflowed, which is left out, and doubles after GROWTH_STEPS without one.

    Attributes:
        scale: the factor, a power of two; float32, a scalar.
        calm: steps since the last change; float32, a scalar.
    """

    def __init__(self, device: torch.device) -> None:
        self.scale = torch.full((), FIRST_SCALE, device=device)
        self.calm = torch.zeros((), device=device)

    @torch.no_grad()
    def update(self, overflow: Tensor) -> None:
        """Take note of a step: `overflow` is 1 where its gradient overflowed, else 0; a scalar."""
        calm = torch.where(overflow > 0, 0.0, self.calm + 1)
        grows = calm >= GROWTH_STEPS
        factor = torch.where(overflow > 0, 0.5, torch.where(grows, 2.0, 1.0))
        self.scale.mul_(factor)
        self.calm.copy_(torch.where(grows, 0.0, calm))

    def tensors(self) -> dict[str, Tensor]:
        """Its state by name, for a checkpoint."""
        return {"scale": self.scale, "calm": self.calm}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take its state from a checkpoint."""
        for name, value in self.tensors().items():
            value.copy_(tensors[name])
