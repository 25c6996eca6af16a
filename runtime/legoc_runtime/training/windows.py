"""Which windows of an image each brick trains on: drawn by (seed, position of the image), whatever the batch."""

from __future__ import annotations

from functools import cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from legoc_runtime.contract.nesting import enclosing, first_that_does_not_nest
from legoc_runtime.contract.settings import Patches
from legoc_runtime.contract.stack import BrickShape, StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.randomness import Purpose, stream

Windows = NDArray[np.int64]


def draw_windows(shape: StackShape, patches: Patches, seed: int, position: int) -> dict[str, Windows]:
    """The windows of one image, ascending, for each brick that trains on a share of them.

    Args:
        shape: the stack.
        patches: `independent`: every brick draws by itself. `nested`: every brick ranks its windows by the rank of the
            window of the next larger brick that they lie in, at random among those of one, and takes the first of
            them; so the smaller one of any two bricks' areas lies inside the larger one, and equal ones are the same.
        seed: the run's seed.
        position: place of the image in the run.
    """
    sampled = _sampled(shape)
    orders = {brick.id: _permutation(shape, brick, seed, position) for brick in sampled}
    if patches == "nested":
        orders = _nested(shape, orders)
    return {brick.id: np.sort(orders[brick.id][: brick.windows_trained]) for brick in sampled}


def check_nested(shape: StackShape) -> None:
    """Refuse `patches: nested` where windows do not nest.

    Raises:
        UsageError: names both bricks.
    """
    sampled = {brick.layout: brick.id for brick in _sampled(shape)}
    if pair := first_that_does_not_nest(list(sampled)):
        inner, outer = (sampled[layout] for layout in pair)
        raise UsageError(
            f"the windows of brick `{inner}` do not nest in those of brick `{outer}`",
            help="draw them with `patches: independent`",
        )


def _sampled(shape: StackShape) -> list[BrickShape]:
    return [brick for brick in shape.bricks if brick.windows_trained < brick.windows]


def _permutation(shape: StackShape, brick: BrickShape, seed: int, position: int) -> Windows:
    part = shape.ids.index(brick.id)
    return stream(seed, Purpose.WINDOWS, position, part).permutation(brick.windows)


def _nested(shape: StackShape, own: dict[str, Windows]) -> dict[str, Windows]:
    """Orders by the rank of the enclosing window first, by the brick's own order where that is the same."""
    orders: dict[str, Windows] = {}
    for outer, inner in _chain(shape):
        if outer is None:
            orders[inner] = own[inner]
            continue
        rank = np.argsort(orders[outer])[np.array(_parents(shape, inner, outer))]
        orders[inner] = np.lexsort((np.argsort(own[inner]), rank))
    return orders


@cache
def _chain(shape: StackShape) -> tuple[tuple[str | None, str], ...]:
    """Sampled bricks from the largest windows to the smallest, each after the one that it nests in."""
    ids = [brick.id for brick in sorted(_sampled(shape), key=lambda b: prod(b.window), reverse=True)]
    return tuple(zip([None, *ids], ids, strict=False))


@cache
def _parents(shape: StackShape, inner: str, outer: str) -> tuple[int, ...]:
    return enclosing(shape.brick(inner), shape.brick(outer))
