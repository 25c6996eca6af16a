"""Canvases as specs and flags ask for them: what they say, what does not fit, and what becomes of it.

Torch-free. A spec is checked by the same rules as a command line: `faults` has them, each in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from legoc_runtime.contract.canvas import Canvas
from legoc_runtime.contract.settings import GRID, WAYS, Region, SampleSettings, Way
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import UsageError

STRIDE = 7
"""From one window to the next (paper, Appendix D.3)."""

MAX_SIDE = 65_536
MAX_REGIONS = 256
MAX_WINDOWS = 100_000
"""Of a canvas, an evaluation: what has more was meant to have fewer, and is counted before it is made."""

_SIZE = re.compile(r"\s*([0-9]{1,6})(?:\s*[xX]\s*([0-9]{1,6}))?\s*")
_REGION = re.compile(r"\s*([0-9]{1,9})\s*:\s*" + r"\s*,\s*".join([r"([0-9]{1,6})"] * 4) + r"\s*")

Kind = Literal["size", "windows", "stride", "canvas", "unconditional", "class", "box"]


@dataclass(frozen=True, slots=True)
class Stack:
    """What canvases are held against.

    Attributes:
        grid: height and width that the stack was trained on.
        classes: how many; None is an unconditional stack.
        hands_on_estimates: whether bricks hand on EDM's estimates of the clean image, as factorising needs.
        pretrained: the brick that is a pretrained model, which no program runs alone; None where there is none.
    """

    grid: tuple[int, int]
    classes: int | None
    hands_on_estimates: bool
    pretrained: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What does not fit.

    Attributes:
        kind: which of the rules.
        message: what is wrong.
        help: what to do.
        region: index of the region that is wrong, or None.
        instead: what was meant, where that is likely.
    """

    kind: Kind
    message: str
    help: str
    region: int | None = None
    instead: Region | None = None


def canvas_of(shape: StackShape, settings: SampleSettings) -> Canvas | None:
    """The canvas that settings ask for; None makes pictures of the grid's size.

    Raises:
        UsageError: naming what does not fit the stack.
    """
    size = parse_size(settings.size)
    if size is None:
        return None
    known_way(settings.canvas)
    given = None if shape.pretrained is None else shape.pretrained.id
    stack = Stack(shape.grid, shape.classes, shape.carry == "x0" and shape.diffusion.kind == "edm", given)
    for fault in faults(settings, stack):
        raise UsageError(fault.message, help=fault.help)
    stride = default_stride(shape.grid) if settings.stride is None else settings.stride
    return Canvas(size, shape.grid, stride, settings.wrap, settings.regions, settings.canvas)


def make_canvas(
    shape: StackShape,
    size: str,
    *,
    stride: int | None = None,
    wrap: bool = False,
    regions: tuple[Region, ...] = (),
    way: str = "windows",
) -> Canvas:
    """A canvas for a stack; see `SampleSettings`.

    Raises:
        UsageError: naming what does not fit.
    """
    asked = SampleSettings(size=size, stride=stride, canvas=known_way(way), wrap=wrap, regions=regions)
    canvas = canvas_of(shape, asked)
    assert canvas is not None, "`grid` is no canvas"
    return canvas


def on_grid(settings: SampleSettings) -> SampleSettings:
    """Settings without their canvas: pictures of the grid's size."""
    return replace(settings, size=GRID, stride=None, canvas="windows", wrap=False, regions=())


def default_stride(grid: tuple[int, int]) -> int:
    """From one window to the next where nothing else is said: 7, or a smaller window's smaller side."""
    return min(STRIDE, *grid)


def parse_size(text: str) -> tuple[int, int] | None:
    """Height and width of `HxW`, or of a square's one number; None for `grid`.

    Raises:
        UsageError: it is no size.
    """
    if text == GRID:
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise UsageError(f"`{text[:60]}` is no size of a canvas", help="write height x width, such as 64x256, or grid")
    return int(found[1]), int(found[2] or found[1])


def size_text(size: tuple[int, int] | None) -> str:
    """A size in the form that settings have it: `64x256`, `grid`."""
    return GRID if size is None else f"{size[0]}x{size[1]}"


def known_way(word: str) -> Way:
    """How a canvas is made, by its name.

    Raises:
        UsageError: there is no such way.
    """
    for way in WAYS:
        if way == word:
            return way
    raise UsageError(f"there is no canvas `{word}`", help=f"choose one of {', '.join(WAYS)}")


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


def faults(settings: SampleSettings, stack: Stack) -> Iterator[Fault]:
    """Everything that does not fit the stack about the canvas that settings ask for, the most telling first."""
    size = parse_size(settings.size)
    if size is None:
        return
    (height, width), (tall, wide) = size, stack.grid
    fits = False
    if height < tall or width < wide:
        message = f"a canvas of {height}x{width} is smaller than a window: the stack was trained on {tall}x{wide}"
        yield Fault("size", message, f"at least {max(height, tall)}x{max(width, wide)}, height first")
    elif max(height, width) > MAX_SIDE:
        yield Fault("size", f"a canvas of {height}x{width} is too large", f"a side has at most {MAX_SIDE:,}")
    else:
        fits = True
    least, step = min(tall, wide), default_stride(stack.grid) if settings.stride is None else settings.stride
    if not 1 <= step <= least:
        what = f"leaves gaps between windows of {tall}x{wide}" if step > 0 else "is none"
        yield Fault("stride", f"a stride of {step} {what}", f"1 to {least}; windows overlap below {least}")
    elif fits and (count := Canvas(size, stack.grid, step, settings.wrap).windows) > MAX_WINDOWS:
        message = f"a canvas of {height}x{width} with a stride of {step} has {count:,} windows"
        yield Fault("windows", message, f"at most {MAX_WINDOWS:,}: a larger stride, or a smaller canvas")
    if settings.canvas == "factorised" and not stack.hands_on_estimates:
        message = "a factorised canvas hands on EDM's estimates of the clean image; this stack hands on something else"
        yield Fault("canvas", message, "`canvas: windows` works with every stack")
    elif settings.canvas == "factorised" and stack.pretrained is not None:
        message = f"brick `{stack.pretrained}` is a pretrained model, which is not run brick by brick"
        yield Fault("canvas", message, "`canvas: windows` works with every stack")
    if stack.classes is None and settings.regions:
        yield Fault("unconditional", "this stack is unconditional: regions have no classes", "leave the regions out")
        return
    for index, region in enumerate(settings.regions):
        yield from _region_faults(region, index, size if fits else None, stack.classes or 0)


def _region_faults(region: Region, index: int, size: tuple[int, int] | None, classes: int) -> Iterator[Fault]:
    what = f"the region {region}"
    if region.label >= classes:
        help = f"the stack has classes 0 to {classes - 1}"
        yield Fault("class", f"{what} has class {region.label}, which is none", help, index)
    if size is None:
        return
    height, width = size
    if not (region.left < region.right <= width and region.top < region.bottom <= height):
        message = f"{what} is empty or leaves the canvas of {height}x{width}"
        help = f"x goes from 0 to {width}, y from 0 to {height}, and the second of each is the larger"
        yield Fault("box", message, help, index, _on_canvas(region, height, width))


def _on_canvas(region: Region, height: int, width: int) -> Region | None:
    """The region that was meant: y before x, as sizes are written, corners out of order, or what lies on the canvas."""
    if region.left < region.right <= height and region.top < region.bottom <= width:
        return Region(region.label, region.top, region.left, region.bottom, region.right)
    (left, right), (top, bottom) = sorted((region.left, region.right)), sorted((region.top, region.bottom))
    right, bottom = min(right, width), min(bottom, height)
    return Region(region.label, left, top, right, bottom) if left < right and top < bottom else None
