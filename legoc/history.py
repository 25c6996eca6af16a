"""The lines of `metrics.jsonl` as curves: read without the runtime, and without trust in what stands there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from legoc.draw.curves import Curve, Plot

Values: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""The named losses of a line."""

METRICS_NAME = "metrics.jsonl"
MAX_POINTS = 300
"""Points of a curve; where there are more lines, a point is the mean of several."""

LARGEST = 1e100
"""What is larger, or no number at all, is no loss."""


@dataclass(frozen=True)
class History:
    """What a run said of itself.

    Attributes:
        lines: how many lines were read.
        unread: how many could not be: a run that was killed leaves one cut short.
        last: the last line.
        total: the loss.
        by_brick: the loss of every brick.
        by_noise: the loss of every range of sigma.
    """

    lines: int
    unread: int
    last: Mapping[str, object]
    total: tuple[Curve, ...]
    by_brick: tuple[Curve, ...]
    by_noise: tuple[Curve, ...]

    @property
    def plots(self) -> tuple[Plot, ...]:
        """The curves over the images trained on: in all, by brick and by noise level, as far as the run has them."""
        below = f"each point the mean of {self.lines_a_point} lines" if self.lines_a_point > 1 else ""
        titled = (
            ("Training loss", self.total),
            ("Loss by brick", self.by_brick),
            ("Training loss by noise level", self.by_noise),
        )
        return tuple(Plot(title, curves, "images", below) for title, curves in titled if curves)

    @property
    def lines_a_point(self) -> int:
        """Lines whose mean a point of a curve is."""
        return _stride(self.lines)

    def number(self, key: str) -> float | None:
        """A number of the last line."""
        return _number(self.last.get(key))


def read_history(run: Path) -> History | None:
    """The metrics of a run; None where there are none.

    Raises:
        OSError: the file cannot be read.
    """
    path = run / METRICS_NAME
    if not path.is_file():
        return None
    lines: list[Mapping[str, Any]] = []
    unread = 0
    with path.open("rb") as file:
        for text in file:
            line = _line(text)
            if line is not None:
                lines.append(line)
            elif text.strip():
                unread += 1
    if not lines:
        return None
    return History(
        len(lines),
        unread,
        lines[-1],
        tuple(_curves(lines, lambda line: {"loss": line.get("loss")})),
        tuple(_curves(lines, lambda line: _mapping(line.get("loss_by_brick")))),
        tuple(_curves(lines, lambda line: _mapping(line.get("loss_by_noise")))),
    )


def _line(text: bytes) -> Mapping[str, Any] | None:
    try:
        line = _mapping(json.loads(text))
    except (ValueError, RecursionError):
        return None
    return line if _number(line.get("images")) is not None else None


def _curves(lines: list[Mapping[str, Any]], values: Values) -> Iterator[Curve]:
    """A curve for every name that some line has a number for, in order of first use."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name, value in values(line).items():
            y, x = _number(value), _number(line["images"])
            if y is not None and x is not None:
                found.setdefault(name, []).append((x, y))
    for name, points in found.items():
        yield Curve(name, tuple(_thinned(points, _stride(len(lines)))))


def _thinned(points: list[tuple[float, float]], stride: int) -> Iterator[tuple[float, float]]:
    for start in range(0, len(points), stride):
        group = points[start : start + stride]
        # where the group ends: the mean is over what came before, as in the file itself
        yield group[-1][0], math.fsum(y for _, y in group) / len(group)


def _stride(lines: int) -> int:
    return max(1, math.ceil(lines / MAX_POINTS))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        return None
    return float(value)


def _mapping(data: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}
