"""Curves as lines of a terminal: what each begins with, ends with, and its course in between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from legoc.draw.curves import DECADES_ABOVE, Curve, Plot, short
from legoc.render.lines import visible

LONGEST_NAME = 24
NARROWEST, WIDEST = 8, 60
"""Characters that the course of a curve takes."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Characters from low to high."""

    characters: str


BLOCKS = Levels("▁▂▃▄▅▆▇█")
ASCII = Levels("_.-=+*#%")


def plots_text(plots: Sequence[Plot], *, width: int, levels: Levels = BLOCKS) -> str:
    """A block a plot, a line a curve: name, course, first, least and last value; ends with a newline.

    The curves of a plot share one scale, logarithmic where the picture's would be.

    Args:
        plots: one or more.
        width: characters of a line.
        levels: what courses are drawn with.
    """
    blocks = [_block(plot, width, levels) for plot in plots]
    return "\n".join(blocks)


def _block(plot: Plot, width: int, levels: Levels) -> str:
    names = [_cut(visible(curve.label)) for curve in plot.curves]
    values = [_values(curve) for curve in plot.curves]
    columns = [max(len(word), *(len(row[i]) for row in values)) for i, word in enumerate(HEAD)]
    name_width = max(map(len, names))
    room = width - name_width - sum(columns) - 2 * (len(columns) + 1)
    course = min(WIDEST, max(NARROWEST, room))
    low, high = _bounds(plot.curves)
    left, right = plot.curves[0].points[0][0], max(curve.points[-1][0] for curve in plot.curves)
    logarithmic = _is_logarithmic(low, high)
    about = f"{plot.title}, {short(left)} to {short(right)} {plot.across}{', logarithmic' if logarithmic else ''}"
    head = "  ".join(word.rjust(columns[i]) for i, word in enumerate(HEAD))
    lines = [about, f"{'':<{name_width}}  {'':<{course}}  {head}"]
    for name, curve, row in zip(names, plot.curves, values, strict=True):
        drawn = _course(curve, (left, right), (low, high), course, levels)
        numbers = "  ".join(text.rjust(columns[i]) for i, text in enumerate(row))
        lines.append(f"{name:<{name_width}}  {drawn}  {numbers}")
    return "\n".join(lines) + "\n"


HEAD = ("first", "least", "last")


def _values(curve: Curve) -> tuple[str, ...]:
    ys = [y for _, y in curve.points]
    return tuple(f"{value:.4g}" for value in (ys[0], min(ys), ys[-1]))


def _course(curve: Curve, across: tuple[float, float], bounds: tuple[float, float], width: int, levels: Levels) -> str:
    """The curve as characters, each the mean of its points there; a blank where there is none."""
    cells: list[list[float]] = [[] for _ in range(width)]
    span = across[1] - across[0]
    for x, y in curve.points:
        at = 0 if not span else int((x - across[0]) / span * (width - 1) + 0.5)
        cells[at].append(y)
    low, high = (_scaled(bound, *bounds) for bound in bounds)
    last = len(levels.characters) - 1
    drawn: list[str] = []
    for i, cell in enumerate(cells):
        if not cell:
            # fewer points than characters: the curve goes on at its last value
            drawn.append(drawn[i - 1] if i and curve.points[-1][0] >= across[0] + span * i / (width - 1) else " ")
            continue
        share = 0.0 if high == low else (_scaled(math.fsum(cell) / len(cell), *bounds) - low) / (high - low)
        drawn.append(levels.characters[round(share * last)])
    return "".join(drawn)


def _bounds(curves: Sequence[Curve]) -> tuple[float, float]:
    ys = [y for curve in curves for _, y in curve.points]
    return min(ys), max(ys)


def _is_logarithmic(low: float, high: float) -> bool:
    return low > 0 and high > DECADES_ABOVE * low


def _scaled(value: float, low: float, high: float) -> float:
    return math.log(value) if _is_logarithmic(low, high) else value


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
