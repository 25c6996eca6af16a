"""Classifier-free guidance (Ho and Salimans 2022) as a wrapper around any stack."""

from __future__ import annotations

import torch
from torch import Tensor

from legoc_runtime.contract.policy import Configuration
from legoc_runtime.errors import UsageError
from legoc_runtime.sampling.sampler import Stack


class Guided:
    """A stack under guidance: null + w (class - null), on all channels or on the first few.

    Both estimates come from one call with 2N rows under the same configuration: there is one way into a
    model. With w = 1 the class's estimate is the answer, so the call has N rows and nothing is added. Channels that are
    not guided are the class's estimate, as in DiT's public code, which guides three of four.
    """

    def __init__(self, stack: Stack, scale: float, classes: int | None, *, channels: int | None = None) -> None:
        """Wrap `stack`.

        Args:
            stack: the stack.
            scale: w >= 0; 1 is no guidance.
            classes: number of classes, which is also the null label; None for an unconditional stack.
            channels: how many channels, the first ones, are guided; None guides all.

        Raises:
            UsageError: w < 0, or w != 1 for an unconditional stack.
        """
        if not scale >= 0:
            raise UsageError(f"guidance must be 0 or more, got {scale:g}")
        if classes is None and scale != 1:
            raise UsageError(f"this stack is unconditional: guidance {scale:g} has no class to guide to")
        self._stack = stack
        self._scale = scale
        self._null = classes
        self._channels = channels

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
    ) -> Tensor:
        """The guided estimate [N,C,H,W]: see `sampler.Stack`.

        Raises:
            UsageError: guidance without labels.
        """
        if self._scale == 1 or self._null is None:
            return self._stack(x, sigma, labels, configuration=configuration)
        if labels is None:
            raise UsageError("guidance needs the class of every picture", help="pass labels, or guidance 1")
        both = torch.cat([labels, torch.full_like(labels, self._null)])
        sigmas = torch.cat([sigma, sigma]) if sigma.ndim else sigma
        estimates = self._stack(torch.cat([x, x]), sigmas, both, configuration=configuration)
        estimate, null = estimates.chunk(2)
        guided = null + self._scale * (estimate - null)
        if self._channels is None:
            return guided
        return torch.cat([guided[:, : self._channels], estimate[:, self._channels :]], dim=1)

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        """What the wrapped stack runs."""
        return self._stack.bricks_run(configuration)
