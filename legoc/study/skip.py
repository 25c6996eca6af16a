"""Quality and time over the share of steps that a brick is left out in (paper, Figure 4): policies, points, plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from legoc.draw.curves import Curve, Plot
from legoc.draw.timeline import sigma_text
from legoc.study.spread import Spread
from legoc.study.table import Table, number
from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.predicate import Arithmetic, Compare, CompareOp, Name, Number
from legoc_runtime.contract.stack import BrickShape, StackShape
from legoc_runtime.errors import UsageError

End = Literal["early", "late"]
ENDS = ("paper", "early", "late", "both")

SHARES = tuple(i / 10 for i in range(11))
"""Shares of Figure 4."""

WHOLE = "none"
"""Key of the point at which nothing is left out: it stands for every brick's share 0."""

SHOWN = ("Fréchet", "FID", "kernel", "KID")
"""Metrics of the table, by how their names begin; the record has all."""

ERROR = "squared error"
ERROR_TITLE = "Mean squared error to the pictures without skipping"


@dataclass(frozen=True)
class Rest:
    """A brick that rests in a share of the steps.

    Attributes:
        brick: its id.
        end: `early`, from pure noise on; `late`, up to the last step.
        share: of the steps, above 0 and at most 1.
    """

    brick: str
    end: End
    share: float

    @property
    def key(self) -> str:
        """Which point of a study it is."""
        return f"{self.brick} {self.end} {self.share:g}"

    def policy(self) -> Policy:
        """The policy: as `halfway` counts steps, by their midpoints."""
        midpoint = Arithmetic("/", Arithmetic("+", Name("step"), Number(0.5)), Name("steps"))
        op: CompareOp = "<" if self.end == "early" else ">="
        bound = self.share if self.end == "early" else 1 - self.share
        return Policy(self.key, ((self.brick, Compare(midpoint, ((op, Number(bound)),))),))


@dataclass(frozen=True)
class SkipPoint:
    """What leaving a brick out in a share of the steps takes and does.

    Attributes:
        brick: its id; empty where nothing is left out.
        end: which steps, `early` or `late`; empty likewise.
        share: share of the steps.
        steps: so many of them.
        sigma: noise level of the first step after the brick came or went; None where it never does.
        macs: MACs of sampling over those without skipping: predicted.
        seconds: of a picture, measured here: the median of each configuration's calls, added up over its calls.
        time: over that without skipping, measured here: what its configurations take over the whole stack in calls that
            alternate, times their rows.
        squared_error: mean squared error to the pictures without skipping, data in [-1, 1].
        features: metric, by its full name -> its value against the reference.
    """

    brick: str
    end: str
    share: float
    steps: int
    sigma: float | None
    macs: float
    seconds: float
    time: float
    squared_error: Spread
    features: dict[str, Spread]

    @property
    def key(self) -> str:
        """As `Rest.key`; `none` where nothing is left out."""
        return f"{self.brick} {self.end} {self.share:g}" if self.brick else WHOLE


def paper_end(brick: BrickShape) -> End:
    """Where the paper lets a brick rest (section 3.2): an image-brick late, a patch-brick early."""
    return "late" if brick.covers_grid else "early"


def rests(shape: StackShape, bricks: Sequence[str], ends: str, shares: Sequence[float]) -> tuple[Rest, ...]:
    """The points of a study, brick by brick from the bottom; share 0 is none of them.

    Args:
        shape: the stack.
        bricks: ids of the bricks that rest, one at a time; empty takes all.
        ends: one of `ENDS`.
        shares: ascending, each once.

    Raises:
        UsageError: the stack has one brick, or not those.
    """
    if len(shape.bricks) < 2:
        raise UsageError("a stack of one brick has nothing to leave out", help="study a stack of two or more")
    if unknown := [id for id in bricks if id not in shape.ids]:
        raise UsageError(f"this stack has no brick `{unknown[0]}`", help=f"its bricks are {', '.join(shape.ids)}")

    def of(brick: BrickShape) -> tuple[End, ...]:
        match ends:
            case "early":
                return ("early",)
            case "late":
                return ("late",)
            case "both":
                return ("early", "late")
            case _:
                return (paper_end(brick),)

    chosen = [brick for brick in shape.bricks if not bricks or brick.id in bricks]
    return tuple(Rest(brick.id, end, share) for brick in chosen for end in of(brick) for share in shares if share > 0)


def parse_shares(text: str) -> tuple[float, ...]:
    """The shares of `0,0.5,1`, ascending.

    Raises:
        UsageError: one is no number from 0 to 1, or given twice.
    """
    example = "for example --shares 0,0.25,0.5,0.75,1"
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--shares {text}: a list of numbers from 0 to 1", help=example) from error
    if not all(0 <= share <= 1 for share in found):
        raise UsageError(f"--shares {text}: a share of the steps is a number from 0 to 1", help=example)
    if len(set(found)) < len(found):
        raise UsageError(f"--shares {text}: a share is given twice", help=example)
    return tuple(sorted(found))


def table(points: Sequence[SkipPoint]) -> Table:
    """A row a point, the one without skipping first."""
    names = shown(points)
    short = (name.replace(" distance", "").replace(" features", "") for name in names)
    head = ("brick", "steps", "share", "sigma", "MACs", "time", "s/picture", *short, ERROR)
    return Table(head, tuple(_row(point, names) for point in points), left=2)


def shown(points: Sequence[SkipPoint]) -> tuple[str, ...]:
    """Names of the metrics that tables and plots have."""
    return tuple(name for name in points[0].features if name.startswith(SHOWN)) if points else ()


def _row(point: SkipPoint, names: Sequence[str]) -> tuple[str, ...]:
    return (
        point.brick or "nothing is left out",
        f"{point.steps} {point.end}" if point.brick else "",
        f"{point.share:g}",
        "-" if point.sigma is None else sigma_text(point.sigma),
        f"{point.macs:.3f}",
        f"{point.time:.3f}",
        number(point.seconds, 3),
        *(point.features[name].text() if name in point.features else "-" for name in names),
        point.squared_error.text(),
    )


def plots(points: Sequence[SkipPoint], below: str) -> tuple[Plot, ...]:
    """Every shown metric, the squared error and the time, over the share of steps; a curve a brick.

    Args:
        points: the one without skipping first, then those of a brick together, by ascending share.
        below: what was sampled, for the line of small type.
    """
    whole, rest = points[0], points[1:]
    groups = [
        (f"{brick} {end}", (whole, *found)) for (brick, end), found in groupby(rest, lambda one: (one.brick, one.end))
    ]
    across = "share of the steps that the brick is left out in"

    def curves(value: Callable[[SkipPoint], float], after: str = "") -> Iterator[Curve]:
        for label, found in groups:
            yield Curve(f"{label}{after}", tuple((point.share, value(point)) for point in found))

    def metric(name: str) -> Callable[[SkipPoint], float]:
        return lambda point: point.features[name].mean

    drawn = [Plot(name, tuple(curves(metric(name))), across, below) for name in shown(points)]
    drawn.append(Plot(ERROR_TITLE, tuple(curves(lambda point: point.squared_error.mean)), across, below))
    times = (*curves(lambda point: point.time), *curves(lambda point: point.macs, ", MACs"))
    drawn.append(Plot("Time over that of no skipping: measured here, and predicted by MACs", times, across, below))
    return tuple(drawn)
