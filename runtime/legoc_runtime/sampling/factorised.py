"""A stack on a canvas, brick by brick: image-bricks in sliding windows, the windows of patch-bricks side by side.

A patch-brick sees no further than its patch, so that windows of the training size that overlap make it compute the same
patches again, shifted. Side by side they cost what the canvas has places. Image-bricks alone let far parts agree.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from legoc_runtime.contract.canvas import Canvas
from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.sampling.canvas import OnCanvas


class OneByOne(Protocol):
    """A stack whose single bricks take what the brick below hands on: `BrickStack` with programs of bricks alone."""

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
        below: Tensor | None = None,
    ) -> Tensor:
        """The estimate of one brick [N,C,H,W] at x [N,C,H,W]; `below` is [N,C,H,W] where the brick reads one."""
        ...

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        """The bricks that a call with this configuration runs."""
        ...


class Factorised:
    """A stack over canvases [N,C,H,W], made of its bricks one by one. It fits `Stack`.

    Each brick's estimate is put together over the whole canvas before the next one reads it.
    """

    def __init__(self, stack: OneByOne, shape: StackShape, canvas: Canvas, rows_at_once: int) -> None:
        """Wrap `stack`; `rows_at_once` windows are in a call of a brick.

        Raises:
            UsageError: less than one window at once, or a pretrained brick, which runs with no other's program.
        """
        if shape.pretrained is not None:
            raise UsageError(
                f"brick `{shape.pretrained.id}` is a pretrained model, which is not run brick by brick",
                help="sample without it",
            )
        self._stack = stack
        self._shape = shape
        self._bricks = {
            brick.id: OnCanvas(
                _Reading(stack, shape.channels) if brick.takes_estimate else stack,
                canvas.of_brick(brick),
                shape.classes,
                rows_at_once,
            )
            for brick in shape.bricks
        }

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
    ) -> Tensor:
        """The estimate of the canvases: see `sampler.Stack`."""
        estimate = torch.zeros_like(x)
        for id in configuration or self._shape.ids:
            reads = self._shape.brick(id).takes_estimate
            given = torch.cat([x, estimate.to(x.dtype)], dim=1) if reads else x
            estimate = self._bricks[id](given, sigma, labels, configuration=(id,))
        return estimate

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        """What the wrapped stack runs, brick by brick."""
        return tuple(ran for id in configuration for ran in self._stack.bricks_run((id,)))


class _Reading:
    """A brick over images of 2C channels: the noisy image, then the estimate from below."""

    def __init__(self, stack: OneByOne, channels: int) -> None:
        self._stack = stack
        self._channels = channels

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
    ) -> Tensor:
        noisy, below = x[:, : self._channels].contiguous(), x[:, self._channels :].contiguous()
        return self._stack(noisy, sigma, labels, configuration=configuration, below=below)

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        return self._stack.bricks_run(configuration)
