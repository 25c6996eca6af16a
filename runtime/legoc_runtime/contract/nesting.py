"""Windows of one brick inside windows of another: where `patches: nested` can be, and which window lies in which."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from legoc_runtime.contract.stack import BrickShape, Layout


def nests(inner: Layout, outer: Layout) -> bool:
    """Whether every window of `inner` lies in one window of `outer`: sides divide, and so does what offsets differ by.

    Windows that cross the border of the grid go on at the other side, so that the grid's own size does not matter.
    """
    sides = zip(inner.window, outer.window, inner.offset, outer.offset, strict=True)
    return all(large % small == 0 and (there - here) % small == 0 for small, large, here, there in sides)


def outermost_first(layouts: Sequence[Layout]) -> list[Layout]:
    """Layouts by the size of their windows, largest first; the order of those of one size stays."""
    return sorted(layouts, key=lambda layout: prod(layout.window), reverse=True)


def first_that_does_not_nest(layouts: Sequence[Layout]) -> tuple[Layout, Layout] | None:
    """Of windows in order of size, the first two neighbours (inner, outer) that do not nest; None where all do."""
    ordered = outermost_first(layouts)
    return next(((inner, outer) for outer, inner in pairwise(ordered) if not nests(inner, outer)), None)


def enclosing(inner: BrickShape, outer: BrickShape) -> tuple[int, ...]:
    """For each window of `inner`, row by row, the index of the window of `outer` that it lies in."""
    across = outer.windows_down_and_across[1]
    found: list[int] = []
    for row in range(inner.windows_down_and_across[0]):
        for column in range(inner.windows_down_and_across[1]):
            corner = zip((row, column), inner.window, inner.offset, outer.offset, outer.grid, strict=True)
            # the corner's pixel, counted from where the outer windows start
            y, x = ((place * side + here - there) % size for place, side, here, there, size in corner)
            found.append(y // outer.window[0] * across + x // outer.window[1])
    return tuple(found)
