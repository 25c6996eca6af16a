"""Curves over one axis as SVG: one self-contained file, legible on light and dark pages, each named at its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from xml.etree.ElementTree import Element

from legoc.draw import elements
from legoc.render.lines import visible

WIDTH, PLOT_HEIGHT = 960, 240
LEFT, RIGHT, HEAD, FOOT = 64, 190, 68, 46
LABEL = 15
"""Height that the name of a curve takes at its end."""

MAX_CURVES = 12
LONGEST_LABEL = 24
DECADES_ABOVE = 6.0
"""A vertical axis is logarithmic where the largest value is so many times the smallest."""

LIGHT = ("#2f5cc0", "#b45309", "#157f5b", "#a5318f", "#c0392b", "#5b6472", "#0e7490", "#6d4bc4")
DARK = ("#6d9bff", "#f5a04c", "#4cc38a", "#e57fd3", "#ff8a7a", "#a3adbd", "#4cc3dd", "#b09bff")
"""Colours of curves, in order, on light and on dark pages."""

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2430; }
.title { font-size: 16px; font-weight: 600; }
.small { font-size: 11px; fill: #5a6472; }
.page { fill: #ffffff; }
.lines { stroke: #e3e7ee; stroke-width: 1; }
.axis { stroke: #98a2b3; stroke-width: 1; }
.curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.lead { fill: none; stroke-width: .8; stroke-opacity: .6; }
.far { stroke-dasharray: 2 5; }
"""


RING = 6
"""Radius of the ring that stands for a curve of one point."""

_RING = f"a{RING} {RING} 0 1 0 {2 * RING} 0a{RING} {RING} 0 1 0 -{2 * RING} 0"


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve.

    Attributes:
        label: its name.
        points: from left to right: where, and how much; one or more.
    """

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over one axis.

    Attributes:
        title: what is shown.
        curves: one or more; the first `MAX_CURVES` are drawn.
        across: what the horizontal axis counts.
        below: a line of small type under the title.
        near: whether the vertical axis has the range of the values alone; else it begins at 0, or is logarithmic.
        decades_across: whether the horizontal axis is logarithmic; every place is above 0 then.
    """

    title: str
    curves: tuple[Curve, ...]
    across: str
    below: str = ""
    near: bool = False
    decades_across: bool = False


def curves_svg(title: str, curves: Sequence[Curve], *, across: str, below: str = "") -> str:
    """The curves in one plot, the first `MAX_CURVES` of them.

    Args:
        title: what is shown.
        curves: one or more.
        across: what the horizontal axis counts.
        below: a line of small type under the title.
    """
    return plots_svg(title, [Plot(title, tuple(curves), across, below)])


def plots_svg(title: str, plots: Sequence[Plot]) -> str:
    """Plots one below the other, in one file.

    Args:
        title: name of the whole.
        plots: one or more.
    """
    height = HEAD + PLOT_HEIGHT + FOOT
    words = ". ".join(
        (f"{plot.title}: " if len(plots) > 1 else "") + description(plot.curves, plot.across) for plot in plots
    )
    style = _style(max(len(plot.curves[:MAX_CURVES]) for plot in plots))
    svg = elements.document(WIDTH, height * len(plots), title=title, description=words, style=style)
    for i, plot in enumerate(plots):
        _plot(svg if i == 0 else elements.group(svg, 0, i * height), plot)
    return elements.serialise(svg)


def _plot(parent: Element, plot: Plot) -> None:
    shown = plot.curves[:MAX_CURVES]
    frame = replace(_Frame.near(shown) if plot.near else _Frame.around(shown), decades_across=plot.decades_across)
    scale = " · logarithmic" if frame.is_logarithmic else " · the axis does not begin at 0" if plot.near else ""
    left_out = f" · the first {MAX_CURVES} of {len(plot.curves)}" if len(plot.curves) > MAX_CURVES else ""
    elements.text(parent, 20, 30, plot.title, "title")
    elements.text(parent, 20, 50, f"{plot.below}{scale}{left_out}".removeprefix(" · "), "small")
    _axes(parent, frame, plot.across)
    ends = _spread([frame.y(curve.points[-1][1]) for curve in shown])
    for i, (curve, end) in enumerate(zip(shown, ends, strict=True)):
        _curve(parent, frame, curve, i, end)


def description(curves: Sequence[Curve], across: str) -> str:
    """The curves in words, for those who do not see them: where each begins and ends."""
    sentences = [
        f"{visible(curve.label)}: from {short(curve.points[0][1])} at {short(curve.points[0][0])} {across} "
        f"to {short(curve.points[-1][1])} at {short(curve.points[-1][0])}"
        for curve in curves[:MAX_CURVES]
    ]
    return "; ".join(sentences)


def ticks(low: float, high: float, room: int) -> list[float]:
    """Round numbers from `low` to `high`, about so many."""
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-300) / max(room, 1)))
    for times in (1, 2, 5, 10):
        if (high - low) / (times * step) <= room:
            break
    step *= times
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high` for a logarithmic axis: the fewer powers of ten, the more between them."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    span = math.log10(high / low)
    factors = (1, 2, 3, 5, 7) if span <= 1.3 else (1, 2, 5) if span <= 3 else (1,)
    found = [factor * 10.0**exponent for exponent in exponents for factor in factors]
    return [value for value in found if low * 0.999 <= value <= high * 1.001]


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the plot covers."""

    left: float
    right: float
    low: float
    high: float
    is_logarithmic: bool
    decades_across: bool = False

    @classmethod
    def around(cls, curves: Sequence[Curve]) -> _Frame:
        xs = [x for curve in curves for x, _ in curve.points]
        ys = [y for curve in curves for _, y in curve.points]
        low, high = min(ys), max(ys)
        if low > 0 and high > DECADES_ABOVE * low:
            return cls(min(xs), max(xs), low / 1.1, high * 1.1, True)
        low = min(0.0, low)
        return cls(min(xs), max(xs), low, high + 0.05 * (high - low or 1), False)

    @classmethod
    def near(cls, curves: Sequence[Curve]) -> _Frame:
        xs, ys = ([point[i] for curve in curves for point in curve.points] for i in (0, 1))
        room = 0.08 * (max(ys) - min(ys) or abs(max(ys)) or 1)
        return cls(min(xs), max(xs), min(ys) - room, max(ys) + room, False)

    def x(self, value: float) -> float:
        scaled: Callable[[float], float] = math.log if self.decades_across else float
        left, right = scaled(self.left), scaled(self.right)
        return LEFT + (WIDTH - LEFT - RIGHT) * (0.5 if right == left else (scaled(value) - left) / (right - left))

    def y(self, value: float) -> float:
        scaled: Callable[[float], float] = math.log if self.is_logarithmic else float
        low, high = scaled(self.low), scaled(self.high)
        return HEAD + PLOT_HEIGHT * (1 - (scaled(value) - low) / (high - low))


def _axes(svg: Element, frame: _Frame, across: str) -> None:
    bottom, end = HEAD + PLOT_HEIGHT, WIDTH - RIGHT
    marks = decades(frame.low, frame.high) if frame.is_logarithmic else ticks(frame.low, frame.high, 5)
    # near to each other, far from 0: three figures would name several alike
    words = short if len({short(value) for value in marks}) == len(marks) else "{:.6g}".format
    for value in marks:
        elements.line(svg, "lines", LEFT, frame.y(value), end, frame.y(value))
        elements.text(svg, LEFT - 8, frame.y(value) + 4, words(value), "small", anchor="end")
    elements.line(svg, "axis", LEFT, bottom, end, bottom)
    round_places = decades if frame.decades_across else partial(ticks, room=7)
    for value in round_places(frame.left, frame.right) if frame.right > frame.left else [frame.left]:
        elements.line(svg, "axis", frame.x(value), bottom, frame.x(value), bottom + 5)
        elements.text(svg, frame.x(value), bottom + 20, short(value), "small", anchor="middle")
    elements.text(svg, end, bottom + 38, across, "small", anchor="end")


def _curve(svg: Element, frame: _Frame, curve: Curve, number: int, label_y: float) -> None:
    points = [(frame.x(x), frame.y(y)) for x, y in curve.points]
    kind = f"c{number % len(LIGHT)}"
    end_x, end_y = points[-1]
    if len(points) == 1:  # a line without length would not be seen
        elements.path(svg, f"curve {kind}", f"M{end_x - RING:.2f} {end_y:.2f}{_RING}")
        end_x += RING
    else:
        elements.path(svg, f"curve {kind}", "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points))
    start = WIDTH - RIGHT + 22
    # a curve that ends early does not seem to go on to its name
    lead = "lead far" if end_x < WIDTH - RIGHT - 8 else "lead"
    elements.path(svg, f"{lead} {kind}", f"M{end_x + 3:.2f} {end_y:.2f}L{start - 4:.2f} {label_y:.2f}")
    label = visible(curve.label)
    shown = label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
    elements.text(svg, start, label_y + 4, shown, f"t{number % len(LIGHT)}")


def _spread(wanted: Sequence[float]) -> list[float]:
    """Heights for the names of curves, each as near to its curve's end as none covers another."""
    placed = list(wanted)
    order = sorted(range(len(placed)), key=lambda i: placed[i])
    top = HEAD + LABEL / 2
    for i in order:
        placed[i] = top = max(placed[i], top)
        top += LABEL
    bottom = HEAD + PLOT_HEIGHT
    for i in reversed(order):
        placed[i] = bottom = min(placed[i], bottom)
        bottom -= LABEL
    return placed


def _style(curves: int) -> str:
    used = min(curves, len(LIGHT))

    def colours(palette: Sequence[str]) -> str:
        return "\n".join(f".c{i} {{ stroke: {palette[i]}; }} .t{i} {{ fill: {palette[i]}; }}" for i in range(used))

    dark = (
        "text { fill: #e6e9ef; } .small { fill: #a3adbd; } .page { fill: #15181f; }\n"
        ".lines { stroke: #2a303b; } .axis { stroke: #667085; }"
    )
    return f"{STYLE}{colours(LIGHT)}\n@media (prefers-color-scheme: dark) {{\n{dark}\n{colours(DARK)}\n}}\n"


def short(value: float) -> str:
    """A number on an axis, as short as it goes: `20k`, `0.05`."""
    for unit, prefix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{prefix}"
    return f"{value:.3g}"
