"""What each brick makes of a noised image (paper, Figures 5 and 6): noise levels, points, table and plot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from legoc.draw.curves import Curve, Plot
from legoc.draw.timeline import sigma_text
from legoc.study.table import Table, number
from legoc_runtime.contract.schedule import Level
from legoc_runtime.errors import UsageError

LEVELS = 6
"""Noise levels where none are named: evenly spread over the schedule, its first and last among them."""


@dataclass(frozen=True)
class LevelPoint:
    """The error of every brick's estimate at one noise level.

    Attributes:
        sigma: noise level.
        errors: brick -> root mean square of its estimates against the clean images, data in [-1, 1].
    """

    sigma: float
    errors: dict[str, float]

    @property
    def key(self) -> str:
        """The noise level."""
        return key_of(self.sigma)


def key_of(sigma: float) -> str:
    """Which point of a study a noise level is."""
    return f"{sigma:.6g}"


TOLERANCE = 0.01
"""How far, as a share, a noise level may lie outside the diffusion's: they are typed as they are printed, rounded."""


def chosen_levels(text: str | None, levels: Sequence[Level], bounds: tuple[float, float]) -> tuple[float, ...]:
    """The noise levels of `0.1,1,10`, or some of a schedule, descending.

    Args:
        text: what `--sigmas` was given.
        levels: the schedule.
        bounds: lowest and highest noise level of the diffusion.

    Raises:
        UsageError: one is no number above 0, none of the diffusion's, or given twice.
    """
    if text is None:
        count = min(LEVELS, len(levels))
        steps = dict.fromkeys(round(i * (len(levels) - 1) / (count - 1)) for i in range(count))
        return tuple(levels[step].sigma for step in steps)
    example = "for example --sigmas 0.1,1,10"
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--sigmas {text}: a list of numbers above 0", help=example) from error
    if not all(0 < sigma < math.inf for sigma in found):
        raise UsageError(f"--sigmas {text}: a noise level is a number above 0", help=example)
    low, high = bounds
    if others := [each for each in found if not low * (1 - TOLERANCE) <= each <= high * (1 + TOLERANCE)]:
        reach = f"{sigma_text(low)} to {sigma_text(high)}"
        raise UsageError(
            f"--sigmas {others[0]:g}: the noise levels of this stack's diffusion are {reach}", help=example
        )
    if len({key_of(sigma) for sigma in found}) < len(found):
        raise UsageError(f"--sigmas {text}: a noise level is given twice", help=example)
    return tuple(sorted(found, reverse=True))


def table(points: Sequence[LevelPoint]) -> Table:
    """A row a noise level, a column a brick."""
    bricks = tuple(points[0].errors)
    rows = tuple((sigma_text(point.sigma), *(number(point.errors[id], 3) for id in bricks)) for point in points)
    return Table(("sigma", *bricks), rows)


def plots(points: Sequence[LevelPoint], below: str) -> tuple[Plot, ...]:
    """The error over the noise level, a curve a brick; and over that of the bottom brick, where there is another.

    Errors span decades, in which what a brick adds to the one below it cannot be seen.

    Args:
        points: by descending noise level.
        below: what was looked at, for the line of small type.
    """
    bottom, *others = points[0].errors

    def curve(id: str, yardstick: str | None = None) -> Curve:
        return Curve(
            id, tuple((p.sigma, p.errors[id] / (p.errors[yardstick] if yardstick else 1)) for p in points[::-1])
        )

    def drawn(title: str, curves: Iterable[Curve], near: bool = False) -> Plot:
        return Plot(title, tuple(curves), "noise level sigma", below, near, decades_across=True)

    found = [drawn("Error of each brick's estimate (root mean square)", (curve(id) for id in points[0].errors))]
    # where the bottom brick makes no error at all, there is nothing to hold others against
    if others and all(point.errors[bottom] > 0 for point in points):
        shares = (curve(id, bottom) for id in points[0].errors)
        found.append(drawn(f"Error over that of the bottom brick, {bottom}", shares, near=True))
    return tuple(found)
