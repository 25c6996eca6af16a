"""The lines of `metrics.jsonl` and `held_out.jsonl` as curves: read without the runtime, with no trust in them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from legoc.draw.curves import Curve, Plot

Values: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""The named losses of a line."""

METRICS_NAME = "metrics.jsonl"
HELD_OUT_NAME = "held_out.jsonl"
PREVIEWS_NAME = "previews.jsonl"
MAX_POINTS = 300
"""Points of a curve; where there are more lines, a point is the mean of several."""

LARGEST = 1e100
"""What is larger, or no number at all, is no loss."""

_PREVIEW = re.compile(r"previews/[0-9]{12,15}\.png")


@dataclass(frozen=True)
class History:
    """What a run said of itself.

    Attributes:
        lines: how many lines were read.
        unread: how many could not be: a run that was killed leaves one cut short.
        last: the last line.
        total: the loss, and the one on held-out images where there are any.
        by_brick: the loss of every brick.
        by_noise: the loss of every range of sigma.
        seconds: images trained on and the seconds that it took, of every line that has both.
        held_out_by_brick: likewise on held-out images; empty where there are none.
        held_out_by_noise: likewise.
        previews: images trained on and the file, from the run directory, of every grid of samples that it drew.
    """

    lines: int
    unread: int
    last: Mapping[str, object]
    total: tuple[Curve, ...]
    by_brick: tuple[Curve, ...]
    by_noise: tuple[Curve, ...]
    seconds: tuple[tuple[float, float], ...] = ()
    held_out_by_brick: tuple[Curve, ...] = ()
    held_out_by_noise: tuple[Curve, ...] = ()
    previews: tuple[tuple[int, str], ...] = ()

    @property
    def plots(self) -> tuple[Plot, ...]:
        """The curves over the images trained on: in all, by brick and by noise level, as far as the run has them."""
        below = f"each point the mean of {self.lines_a_point} lines" if self.lines_a_point > 1 else ""
        titled = (
            ("Training loss", self.total),
            ("Loss by brick", self.by_brick),
            ("Training loss by noise level", self.by_noise),
            ("Held-out loss by brick", self.held_out_by_brick),
            ("Held-out loss by noise level", self.held_out_by_noise),
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
    found = _read(run / METRICS_NAME)
    if found is None or not found[0]:
        return None
    lines, unread = found
    held_out, unread_too = _read(run / HELD_OUT_NAME) or ([], 0)
    previews, unread_grids = _read(run / PREVIEWS_NAME) or ([], 0)
    return History(
        len(lines),
        unread + unread_too + unread_grids,
        lines[-1],
        (*_total(lines, "loss"), *_total(held_out, "held out")),
        tuple(_curves(lines, lambda line: _mapping(line.get("loss_by_brick")))),
        tuple(_curves(lines, lambda line: _mapping(line.get("loss_by_noise")))),
        tuple(_pairs(lines, "seconds")),
        tuple(_curves(held_out, lambda line: _mapping(line.get("loss_by_brick")))),
        tuple(_curves(held_out, lambda line: _mapping(line.get("loss_by_noise")))),
        tuple(_previews(previews)),
    )


def _read(path: Path) -> tuple[list[Mapping[str, Any]], int] | None:
    """The lines of a file and the number of those that cannot be read; None where there is no file."""
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
    return lines, unread


def _pairs(lines: list[Mapping[str, Any]], key: str) -> Iterator[tuple[float, float]]:
    for line in lines:
        x, y = _number(line["images"]), _number(line.get(key))
        if x is not None and y is not None:
            yield x, y


def _previews(lines: list[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    for line in lines:
        images, file = line["images"], line.get("file")
        if isinstance(images, int) and isinstance(file, str) and _PREVIEW.fullmatch(file):
            yield images, file


def _total(lines: list[Mapping[str, Any]], name: str) -> Iterator[Curve]:
    return _curves(lines, lambda line: {name: line.get("loss")})


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
