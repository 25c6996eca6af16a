"""Small stack shapes that many tests share."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from legoc_runtime.contract.stack import BrickShape, Carry, EdmConstants, StackShape
from legoc_runtime.store import WeightStore


def stack(
    windows: Sequence[int | tuple[int, int]] = (4, 16, 32),
    *,
    grid: tuple[int, int] = (32, 32),
    receptive_fields: Sequence[int] = (2, 8, 2),
    depths: Sequence[int] = (1, 1, 2),
    widths: Sequence[int] = (32, 32, 32),
    heads: int = 4,
    ids: Sequence[str] = ("windows", "parts", "whole"),
    channels: int = 3,
    classes: int | None = 5,
    carry: Carry = "x0",
    train_patches: Sequence[float] = (1.0, 1.0, 1.0),
    condition_width: int | None = None,
) -> StackShape:
    """A stack of bricks, bottom to top; the defaults make PG on 32x32x3."""
    condition_width = condition_width or max(widths)
    bricks = tuple(
        BrickShape(
            id=ids[i],
            window=window if isinstance(window, tuple) else (window, window),
            grid=grid,
            receptive_field=receptive_fields[i],
            depth=depths[i],
            width=widths[i],
            heads=heads,
            mlp_ratio=4.0,
            channels=channels,
            coordinates=2,
            takes_estimate=i > 0,
            condition_width=condition_width,
            train_patches=train_patches[i],
        )
        for i, window in enumerate(windows)
    )
    return StackShape(channels, grid, classes, "table", "row_column", condition_width, carry, EdmConstants(), bricks)


def random_store(shape: StackShape, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> WeightStore:
    """A store in which every weight is non-zero, so that nothing in the network is switched off."""
    store = WeightStore(shape, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    with store.updating(), torch.no_grad():
        for weight in store.weights.values():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2 / weight.shape[1:].numel() ** 0.25)
    return store


def batch(
    shape: StackShape, count: int = 3, *, seed: int = 1, dtype: torch.dtype = torch.float32
) -> list[torch.Tensor]:
    """Arguments of a sampling program: x, sigma and, for a conditional stack, labels with a null label among them."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, shape.channels, *shape.grid, generator=generator, dtype=torch.float64)
    sigma = torch.rand(count, generator=generator, dtype=torch.float64) * 2 + 0.1
    arguments = [x.to(dtype), sigma.to(dtype)]
    if shape.classes is not None:
        arguments.append(torch.arange(count) % (shape.classes + 1))
    return arguments
