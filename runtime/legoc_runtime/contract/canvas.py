"""Canvases: pictures at least as large as the grid that a stack was trained on, put together from windows of that grid.

Where the windows lie, and which classes act in which of them. Torch-free: cost counts the rows that sampling runs.

Legend: H, W height and width of the canvas, h, w those of a window, in elements of the grid.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Literal, get_args

from legoc_runtime.contract.stack import BrickShape, StackShape
from legoc_runtime.errors import UsageError

DEFAULT_STRIDE = 7
"""From one window to the next (paper, Appendix D.3)."""

Way = Literal["windows", "factorised"]
WAYS: tuple[Way, ...] = get_args(Way)

FADE = 8
"""A region fades over this share of a window on either side of its border."""

MAX_SIDE = 65_536
MAX_REGIONS = 256

_SIZE = re.compile(r"\s*([0-9]{1,6})\s*[xX]\s*([0-9]{1,6})\s*")
_REGION = re.compile(r"\s*([0-9]{1,9})\s*:\s*" + r"\s*,\s*".join([r"([0-9]{1,6})"] * 4) + r"\s*")


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the canvas with a class of its own: columns left to right - 1, rows top to bottom - 1."""

    label: int
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a call of the stack: a window and what it shows.

    Attributes:
        top: first row of the window.
        left: first column; under `wrap` a window goes on at the other side.
        region: index of the region whose class it has; None is the picture's own.
    """

    top: int
    left: int
    region: int | None


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where windows lie on a canvas.

    Attributes:
        size: height and width.
        window: height and width of the stack's grid.
        stride: from one window to the next, down and across; the last one is flush with the border.
        wrap: whether the right border goes on at the left one.
        regions: rectangles with classes of their own; later ones lie over earlier ones.
        way: `windows`: the whole stack slides; `factorised`: image-bricks slide, the others' windows lie side by side.
        abreast: whether windows lie side by side, whatever the stride.
    """

    size: tuple[int, int]
    window: tuple[int, int]
    stride: int
    wrap: bool = False
    regions: tuple[Region, ...] = ()
    way: Way = "windows"
    abreast: bool = False

    @property
    def tops(self) -> tuple[int, ...]:
        """First rows of the windows."""
        return _starts(self.size[0], self.window[0], self.window[0] if self.abreast else self.stride)

    @property
    def lefts(self) -> tuple[int, ...]:
        """First columns of the windows."""
        step = self.window[1] if self.abreast else self.stride
        return tuple(range(0, self.size[1], step)) if self.wrap else _starts(self.size[1], self.window[1], step)

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return len(self.tops) * len(self.lefts)

    def of_brick(self, brick: BrickShape) -> Canvas:
        """Where the windows lie in which a brick runs."""
        return replace(self, abreast=self.way == "factorised" and brick.window != brick.grid)

    def rows_by_brick(self, shape: StackShape) -> dict[str, int]:
        """How often each brick runs on a whole window in an evaluation of one picture."""
        return {brick.id: len(self.of_brick(brick).rows()) for brick in shape.bricks}

    def rows(self) -> tuple[Row, ...]:
        """The rows of an evaluation of one picture: every window once, and once more for each further class in it."""
        fades = [self.fades(region) for region in self.regions]
        found: list[Row] = []
        for top, left in product(self.tops, self.lefts):
            acting: list[int | None] = []
            for index in reversed(range(len(fades))):
                down, across = fades[index]
                seen = [down[row] for row in range(top, top + self.window[0])]
                seen_across = [across[column % self.size[1]] for column in range(left, left + self.window[1])]
                if max(seen) > 0 and max(seen_across) > 0:
                    acting.append(index)
                if min(seen) == 1 and min(seen_across) == 1:
                    break  # nothing below it is seen
            else:
                acting.append(None)
            found += [Row(top, left, index) for index in reversed(acting)]
        return tuple(found)

    def fades(self, region: Region) -> tuple[list[float], list[float]]:
        """How much of a region there is in each row [H] and column [W], 0 to 1: a place has the product of both."""
        down = _fade(region.top, region.bottom, self.size[0], self.window[0] / FADE, cyclic=False)
        return down, _fade(region.left, region.right, self.size[1], self.window[1] / FADE, cyclic=self.wrap)

    def record(self) -> dict[str, Any]:
        """What samples.json says of it."""
        return {
            "size": list(self.size),
            "window": list(self.window),
            "stride": self.stride,
            "wrap": self.wrap,
            "way": self.way,
            "regions": [asdict(region) for region in self.regions],
        }

    def describe(self) -> str:
        """In words: its size, its windows and what they show."""
        (height, width), (tall, wide) = self.size, self.window
        count = self.windows
        text = f"canvas {height}x{width}: {count} window{'s' if count > 1 else ''} of {tall}x{wide}"
        text += f", stride {self.stride}" + (", wrapped around" if self.wrap else "")
        if self.way == "factorised":
            text += f" for image-bricks, {replace(self, abreast=True).windows} side by side for patch-bricks"
        if not self.regions:
            return text
        regions = f"{len(self.regions)} region{'s' if len(self.regions) > 1 else ''}"
        return f"{text}; {regions}, {len(self.rows())} rows an evaluation"


def make_canvas(
    shape: StackShape,
    size: str,
    *,
    stride: int | None = None,
    wrap: bool = False,
    regions: str | None = None,
    way: str = "windows",
) -> Canvas:
    """Check what is asked of a canvas and make it concrete.

    Args:
        shape: the stack.
        size: `HxW`, in elements of the grid.
        stride: from one window to the next; None is 7, or the window's smaller side if that is less.
        wrap: whether the right border goes on at the left one.
        regions: as `parse_regions` reads them.
        way: `windows` or `factorised`.

    Raises:
        UsageError: naming what does not fit.
    """
    found = _SIZE.fullmatch(size)
    if found is None:
        raise UsageError(f"`{size}` is no size of a canvas", help="write height x width, such as 64x256")
    height, width = int(found[1]), int(found[2])
    tall, wide = shape.grid
    if height < tall or width < wide:
        raise UsageError(
            f"a canvas of {height}x{width} is smaller than a window: the stack was trained on {tall}x{wide}",
            help=f"give --size at least {max(height, tall)}x{max(width, wide)}, height first",
        )
    if max(height, width) > MAX_SIDE:
        raise UsageError(f"a canvas of {height}x{width} is too large", help=f"a side has at most {MAX_SIDE:,}")
    step = min(DEFAULT_STRIDE, tall, wide) if stride is None else stride
    if not 1 <= step <= min(tall, wide):
        raise UsageError(
            f"--stride {step} leaves gaps between windows of {tall}x{wide}" if step > 0 else f"--stride {step} is none",
            help=f"pass 1 to {min(tall, wide)}; windows overlap below {min(tall, wide)}",
        )
    given = () if regions is None else parse_regions(regions)
    canvas = Canvas((height, width), (tall, wide), step, wrap, given, _way(way, shape))
    for region in given:
        _check_region(region, canvas, shape.classes)
    return canvas


def _way(word: str, shape: StackShape) -> Way:
    match word:
        case "windows" | "factorised":
            found = word
        case _:
            raise UsageError(f"there is no canvas `{word}`", help=f"choose one of {', '.join(WAYS)}")
    if found == "factorised" and (shape.carry != "x0" or shape.diffusion.kind != "edm"):
        raise UsageError(
            "a factorised canvas hands on EDM's estimates of the clean image; this stack hands on something else",
            help="leave --canvas out",
        )
    return found


def parse_regions(text: str) -> tuple[Region, ...]:
    """Regions `class:x0,y0,x1,y1`, separated by semicolons or lines; x1 and y1 are the first ones outside.

    Raises:
        UsageError: the text is not of this form.
    """
    parts = [part for part in re.split(r"[;\n]", text) if part.strip() and not part.lstrip().startswith("#")]
    if not 1 <= len(parts) <= MAX_REGIONS:
        raise UsageError(f"--regions names {len(parts)} regions", help=f"give 1 to {MAX_REGIONS}")
    found: list[Region] = []
    for part in parts:
        match = _REGION.fullmatch(part)
        if match is None:
            raise UsageError(
                f"`{part.strip()[:60]}` is no region", help="write class:x0,y0,x1,y1 such as 3:0,0,64,32, x across"
            )
        found.append(Region(*map(int, match.groups())))
    return tuple(found)


def _check_region(region: Region, canvas: Canvas, classes: int | None) -> None:
    where = f"{region.label}:{region.left},{region.top},{region.right},{region.bottom}"
    if classes is None:
        raise UsageError("this stack is unconditional: regions have no classes", help="leave --regions out")
    if region.label >= classes:
        raise UsageError(
            f"the region {where} has class {region.label}, which is none",
            help=f"the stack has classes 0 to {classes - 1}",
        )
    height, width = canvas.size
    if not (region.left < region.right <= width and region.top < region.bottom <= height):
        raise UsageError(
            f"the region {where} is empty or leaves the canvas of {height}x{width}",
            help=f"x goes from 0 to {width}, y from 0 to {height}, and the second of each is the larger",
        )


def _starts(length: int, window: int, stride: int) -> tuple[int, ...]:
    """0, stride, ... and the last window flush with the border."""
    last = length - window
    return (*range(0, last, stride), last)


def _fade(first: int, end: int, length: int, margin: float, *, cyclic: bool) -> list[float]:
    """1 inside [first, end), 0 outside, a straight line over `margin` on either side of each border.

    Nothing fades at the border of the canvas; where that is cyclic, only what spans it all does not.
    """
    whole = first == 0 and end == length
    shifts: Sequence[int] = (-length, 0, length) if cyclic and not whole else (0,)
    soft_first, soft_end = (cyclic and not whole) or first > 0, (cyclic and not whole) or end < length

    def at(place: float) -> float:
        into = (place - first + margin) / (2 * margin) if soft_first else 1.0
        out = (end + margin - place) / (2 * margin) if soft_end else 1.0
        return min(1.0, max(0.0, min(into, out)))

    return [max(at(place + 0.5 + shift) for shift in shifts) for place in range(length)]
