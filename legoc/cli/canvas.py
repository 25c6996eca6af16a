"""Canvases as `sample` and `cost` are asked for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from legoc_runtime.contract.canvas import Canvas
    from legoc_runtime.contract.stack import StackShape

MAX_BYTES = 1_000_000
"""Of a file of regions."""


def canvas_asked(
    shape: StackShape,
    size: str | None,
    *,
    stride: int | None,
    wrap: bool,
    regions: str | None,
    rows: int | None = None,
    way: str | None = None,
) -> Canvas | None:
    """The canvas that flags ask for, or None.

    Args:
        shape: the stack.
        size: `HxW`.
        stride: from one window to the next.
        wrap: whether the right border goes on at the left one.
        regions: a list of regions, or a file with one.
        rows: `--window-batch`, which says nothing without a canvas.
        way: `--canvas`.

    Raises:
        UsageError: a flag does nothing, or what is asked for does not fit the stack.
    """
    if size is None:
        given = {"--stride": stride is not None, "--wrap": wrap, "--regions": regions is not None}
        given |= {"--window-batch": rows is not None, "--canvas": way is not None}
        if idle := [flag for flag, is_given in given.items() if is_given]:
            raise UsageError(f"{idle[0]} says something of a canvas", help="pass --size HxW too")
        return None
    from legoc_runtime.contract.canvas import make_canvas

    listed = None if regions is None else _read(regions)
    return make_canvas(shape, size, stride=stride, wrap=wrap, regions=listed, way=way or "windows")


def _read(regions: str) -> str:
    """A list of regions, from a file where the text names one."""
    if ":" in regions and not Path(regions).suffix:
        return regions
    try:
        with Path(regions).open(encoding="utf-8") as file:
            return file.read(MAX_BYTES)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--regions {regions[:60]} cannot be read: {getattr(error, 'strerror', None) or error}",
            help="give a file, or a list such as 3:0,0,64,32;5:64,0,128,32",
        ) from error
