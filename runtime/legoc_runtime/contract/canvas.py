"""Canvases: pictures at least as large as the grid that a stack was trained on, put together from windows of that grid.

Where the windows lie, and which classes act in which of them. Torch-free: cost counts the rows that sampling runs.

Legend: H, W height and width of the canvas, h, w those of a window, in elements of the grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import accumulate, chain, product
from math import ceil, floor
from typing import Any

from legoc_runtime.contract.settings import Region, Way
from legoc_runtime.contract.stack import BrickShape, StackShape

FADE = 8
"""A region fades over this share of a window on either side of its border."""


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
        return {brick.id: self.of_brick(brick).row_count for brick in shape.bricks}

    @property
    def row_count(self) -> int:
        """How many `rows` there are."""
        return _row_count(self)

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
        return f"{text}; {regions}, {self.row_count:,} rows an evaluation"


def _starts(length: int, window: int, stride: int) -> tuple[int, ...]:
    """0, stride, ... and the last window flush with the border."""
    last = length - window
    return (*range(0, last, stride), last)


@lru_cache(maxsize=16)
def _row_count(canvas: Canvas) -> int:
    """The rows of a canvas, counted without being made: windows that see the same regions count together."""
    fades = [canvas.fades(region) for region in canvas.regions]
    down = _seen([rows for rows, _ in fades], canvas.tops, canvas.window[0])
    across = _seen([columns for _, columns in fades], canvas.lefts, canvas.window[1])
    return sum(
        times * others * _acting(some & those, full & whole)
        for (some, full), times in down.items()
        for (those, whole), others in across.items()
    )


def _seen(fades: Sequence[list[float]], starts: Sequence[int], window: int) -> Counter[tuple[int, int]]:
    """Which regions windows see something of, and which they see alone: a bit a region, and how many windows do."""
    some, full = [0] * len(starts), [0] * len(starts)
    for index, fade in enumerate(fades):
        around = fade + fade[:window]
        there = list(accumulate((share > 0 for share in around), initial=0))
        alone = list(accumulate((share == 1 for share in around), initial=0))
        for place, start in enumerate(starts):
            end = start + window
            some[place] |= (there[end] > there[start]) << index
            full[place] |= (alone[end] - alone[start] == window) << index
    return Counter(zip(some, full, strict=True))


def _acting(some: int, full: int) -> int:
    """How many classes act in a window: regions from the topmost one that covers it on; the picture's own if none."""
    lowest = full.bit_length() - 1
    return (some >> lowest).bit_count() if lowest >= 0 else some.bit_count() + 1


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

    def inside(place: float) -> int:
        return min(max(int(place), 0), length)

    found = [0.0] * length
    for shift in shifts:
        # the slopes place by place, what lies between them at once: a canvas has up to 65,536 places a side
        low, high = inside(floor(first - shift - margin)), inside(ceil(end - shift + margin))
        rising = inside(ceil(first - shift + margin)) if soft_first else 0
        falling = inside(floor(end - shift - margin)) if soft_end else length
        if rising < falling:
            found[rising:falling] = [1.0] * (falling - rising)
        for place in chain(range(low if soft_first else 0, min(rising, high)), range(max(falling, low), high)):
            found[place] = max(found[place], at(place + 0.5 + shift))
    return found
