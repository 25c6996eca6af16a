"""Sweeps over a spec (paper, Figures 10 and 11): which stacks are trained, and what is said of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from legoc.cost.table import parameter_count, quantity
from legoc.draw.curves import Curve, Plot
from legoc.study.table import Table, number
from legoc_runtime.errors import UsageError

MOST_POINTS = 64
"""A sweep of more is refused: each point is a training."""

_EXAMPLE = "for example --sweep detail.depth=1,2,4"
_SWEEP = re.compile(r"([^.=\s]+)\.([a-z_]+)=(.+)")


@dataclass(frozen=True)
class Sweep:
    """Values of one key of one brick.

    Attributes:
        brick: its id.
        key: the key, `depth` or `size` for two.
        values: as they were written.
    """

    brick: str
    key: str
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """Brick and key."""
        return f"{self.brick}.{self.key}"


@dataclass(frozen=True)
class Stack:
    """One stack of a sweep.

    Attributes:
        values: brick and key -> the value there.
    """

    values: dict[str, str]

    @property
    def key(self) -> str:
        """What it is called: `detail.depth=2,whole.depth=4`."""
        return ",".join(f"{name}={value}" for name, value in self.values.items())

    @property
    def overrides(self) -> tuple[str, ...]:
        """The same for `--set`."""
        return tuple(f"bricks.{name}={value}" for name, value in self.values.items())

    @property
    def folder(self) -> str:
        """A file name of it."""
        return re.sub(r"[^A-Za-z0-9_.=,-]", "_", self.key)


@dataclass(frozen=True)
class StackPoint:
    """A stack that was trained.

    Attributes:
        values: brick and key -> the value there.
        parameters: of the stack.
        macs: of one evaluation of one picture.
        training_macs: of one training image.
        images: trained on.
        seconds: spent training, over all sessions.
        examples: how many held-out examples the losses are of.
        held_out: loss on held-out images, the mean that was trained for; None where it is not finite.
        by_brick: the loss of each brick's own estimate there.
        by_noise: range of sigma -> loss there.
    """

    values: dict[str, str]
    parameters: int
    macs: int
    training_macs: int
    images: int
    seconds: float
    examples: int
    held_out: float | None
    by_brick: dict[str, float | None]
    by_noise: dict[str, float | None]

    @property
    def key(self) -> str:
        """As `Stack.key`."""
        return Stack(self.values).key

    @property
    def top(self) -> float | None:
        """The loss of the top brick: of the estimate that pictures come from."""
        return next(reversed(self.by_brick.values()))


def parse_sweeps(texts: Sequence[str]) -> tuple[Sweep, ...]:
    """What the flags `--sweep ID.KEY=V,V,...` say.

    Raises:
        UsageError: one is not of this form, or a key or a value is given twice.
    """
    found: list[Sweep] = []
    for text in texts:
        match = _SWEEP.fullmatch(text)
        values = [value.strip() for value in match[3].split(",")] if match else []
        if match is None or not all(values):
            raise UsageError(f"--sweep {text}: expected ID.KEY=VALUE,VALUE,...", help=_EXAMPLE)
        if len(set(values)) < len(values):
            raise UsageError(f"--sweep {text}: a value is given twice", help=_EXAMPLE)
        found.append(Sweep(match[1], match[2], tuple(values)))
    names = [sweep.name for sweep in found]
    if not found:
        raise UsageError("there is nothing to sweep", help=_EXAMPLE)
    if len(set(names)) < len(names):
        raise UsageError("one key is swept twice", help="give all its values in one --sweep")
    return tuple(found)


def stacks(sweeps: Sequence[Sweep]) -> tuple[Stack, ...]:
    """Every combination of values, the last key changing first.

    Raises:
        UsageError: there are more than `MOST_POINTS`.
    """
    found = tuple(
        Stack({sweep.name: value for sweep, value in zip(sweeps, values, strict=True)})
        for values in product(*(sweep.values for sweep in sweeps))
    )
    if len(found) > MOST_POINTS:
        raise UsageError(
            f"{len(found)} stacks, each of them to be trained: at most {MOST_POINTS}", help="sweep fewer values"
        )
    return found


def tables(points: Sequence[StackPoint]) -> tuple[Table, Table]:
    """Cost beside held-out loss by brick; and held-out loss by noise level."""
    swept = tuple(points[0].values)
    bricks, ranges = tuple(points[0].by_brick), tuple(points[0].by_noise)
    costs = Table(
        (*swept, "parameters", "MACs", "training MACs/image", "seconds", "held out", *bricks),
        tuple(
            (
                *point.values.values(),
                parameter_count(point.parameters),
                quantity(point.macs),
                quantity(point.training_macs),
                f"{point.seconds:,.0f}",
                number(point.held_out),
                *(number(point.by_brick[id]) for id in bricks),
            )
            for point in points
        ),
        left=len(swept),
    )
    noise = Table(
        (*swept, *ranges),
        tuple((*point.values.values(), *(number(point.by_noise[name]) for name in ranges)) for point in points),
        left=len(swept),
    )
    return costs, noise


def plots(points: Sequence[StackPoint], below: str) -> tuple[Plot, ...]:
    """Held-out loss over MACs: of the top brick, a curve for every value but the first key's; by brick; by noise level.

    What differs between stacks is small beside what they have in common, so that no axis begins at 0.

    Args:
        points: one or more.
        below: what was trained, for the line of small type.
    """
    across = "MACs of one evaluation of a picture"
    ordered = sorted(points, key=lambda point: point.macs)
    first = next(iter(points[0].values))
    top = list(points[0].by_brick)[-1]
    groups: dict[str, list[StackPoint]] = {}
    for point in ordered:
        others = ",".join(f"{name}={value}" for name, value in point.values.items() if name != first)
        groups.setdefault(others or first, []).append(point)
    drawn = [
        (f"Held-out loss of the top brick, `{top}`", [_curve(label, found, _top) for label, found in groups.items()]),
        ("Held-out loss by brick", [_curve(id, ordered, _of_brick(id)) for id in points[0].by_brick]),
        (
            "Held-out loss by noise level, over that of the cheapest stack",
            [_curve(name, ordered, _over(_of_noise(name), ordered[0])) for name in points[0].by_noise],
        ),
    ]
    shown = ((title, tuple(curve for curve in curves if curve.points)) for title, curves in drawn)
    return tuple(Plot(title, curves, across, below, near=True) for title, curves in shown if curves)


def _curve(label: str, points: Sequence[StackPoint], value: Callable[[StackPoint], float | None]) -> Curve:
    return Curve(label, tuple(_known(points, value)))


def _known(points: Sequence[StackPoint], value: Callable[[StackPoint], float | None]) -> Iterator[tuple[float, float]]:
    for point in points:
        found = value(point)
        if found is not None:
            yield float(point.macs), found


def _top(point: StackPoint) -> float | None:
    return point.top


def _over(value: Callable[[StackPoint], float | None], cheapest: StackPoint) -> Callable[[StackPoint], float | None]:
    """A value over that of the cheapest stack; None where one of both is not known."""
    least = value(cheapest)

    def ratio(point: StackPoint) -> float | None:
        found = value(point)
        return None if found is None or not least else found / least

    return ratio


def _of_brick(id: str) -> Callable[[StackPoint], float | None]:
    return lambda point: point.by_brick[id]


def _of_noise(name: str) -> Callable[[StackPoint], float | None]:
    return lambda point: point.by_noise[name]
