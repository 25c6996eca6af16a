"""How a brick cuts the grid: the grid in windows, and one window in tokens."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from legoc.draw import elements
from legoc_runtime.contract.stack import BrickShape

SIDE = 88
"""The longer side of the drawn grid, and of the drawn window, in pixels."""

BETWEEN = 24
"""Space between the two."""

_FINEST_TOKENS = 64
"""Tokens along a side that are drawn as lines; more would be a grey area."""


def windows_and_tokens(svg: Element, brick: BrickShape, x: float, y: float) -> None:
    """Draw the grid with a brick's windows, and beside it one window with its tokens.

    The window that is enlarged is marked in the grid; a brick's `offset` shifts the windows as it does in the stack.

    Args:
        svg: what to draw into.
        brick: the brick.
        x: left edge, in pixels; the drawing is `2 * SIDE + BETWEEN` wide.
        y: upper edge; the drawing is `SIDE` high.
    """
    height, width = fit(brick.grid)
    left, top = x + (SIDE - width) / 2, y + (SIDE - height) / 2
    scale = height / brick.grid[0]
    elements.box(svg, "grid", left, top, width, height)
    marked_y, marked_x = marked_window(brick)
    marked = (left + marked_x * scale, top + marked_y * scale, brick.window[1] * scale, brick.window[0] * scale)
    elements.box(svg, "marked", *marked)
    rows, columns = (
        [scale * at for at in cuts(grid, window, offset)]
        for grid, window, offset in zip(brick.grid, brick.window, brick.offset, strict=True)
    )
    _cut(svg, "cut", (left, top, width, height), rows, columns)

    window_height, window_width = fit(brick.window)
    window_left = x + SIDE + BETWEEN + (SIDE - window_width) / 2
    window_top = y + (SIDE - window_height) / 2
    for edge in (0.0, 1.0):
        start = (marked[0] + marked[2], marked[1] + edge * marked[3])
        elements.line(svg, "enlarge", *start, window_left, window_top + edge * window_height)
    elements.box(svg, "marked", window_left, window_top, window_width, window_height)
    down, across = brick.tokens_down_and_across
    if max(down, across) <= _FINEST_TOKENS:
        rows = [window_height * i / down for i in range(1, down)]
        columns = [window_width * i / across for i in range(1, across)]
        _cut(svg, "token", (window_left, window_top, window_width, window_height), rows, columns)
    elements.box(svg, "frame", window_left, window_top, window_width, window_height)


def fit(size: tuple[int, int]) -> tuple[float, float]:
    """Height and width in pixels of a drawing of `size` (height, width) whose longer side is `SIDE`."""
    longer = max(size)
    return SIDE * size[0] / longer, SIDE * size[1] / longer


def cuts(grid: int, window: int, offset: int) -> list[int]:
    """Where windows meet along one side of the grid, in pixels of the grid, without its own borders."""
    return [at for at in range(offset % window, grid, window) if at > 0]


def marked_window(brick: BrickShape) -> tuple[int, int]:
    """Row and column at which the enlarged window starts: the first; the whole grid of an image-brick."""
    return (0, 0) if brick.covers_grid else brick.offset


def _cut(
    svg: Element,
    kind: str,
    place: tuple[float, float, float, float],
    rows: Iterable[float],
    columns: Iterable[float],
) -> None:
    """Lines across a box at `rows` and `columns`, as one path."""
    left, top, width, height = place
    across = [f"M{left:.2f} {top + at:.2f}h{width:.2f}" for at in rows]
    down = [f"M{left + at:.2f} {top:.2f}v{height:.2f}" for at in columns]
    if across or down:
        elements.path(svg, kind, "".join([*across, *down]))
