"""What a timeline shows: which brick runs at which step, what each costs, what the policy saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from legoc.cost import brick_macs, macs, policy_macs
from legoc.cost.counts import pretrained_macs
from legoc_runtime.contract.canvas import Canvas
from legoc_runtime.contract.policy import Break, Policy, TruthTable, tabulate
from legoc_runtime.contract.schedule import Evaluation, Level
from legoc_runtime.contract.stack import StackShape


@dataclass(frozen=True, slots=True)
class Row:
    """One brick.

    Attributes:
        brick: its id.
        share: its multiply-accumulates over those of the whole stack, 0 to 1.
        runs: for every step, whether it runs.
    """

    brick: str
    share: float
    runs: tuple[bool, ...]

    @property
    def spans(self) -> tuple[tuple[int, int, bool], ...]:
        """Consecutive steps in one state: first step, step past the last, whether the brick runs."""
        found: list[tuple[int, int, bool]] = []
        start = 0
        for runs, steps in groupby(self.runs):
            stop = start + len(list(steps))
            found.append((start, stop, runs))
            start = stop
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A policy over a schedule, ready to be drawn.

    Attributes:
        stack: the stack's name.
        policy: the policy's name.
        levels: the noise levels, one a step.
        evaluations: calls of the stack for one picture.
        rows: the bricks, bottom to top.
        breaks: where a brick starts or stops running.
        saved: share of the multiply-accumulates of sampling without skips that the policy saves, 0 to 1.
        canvas: the canvas that is sampled, in words; empty for pictures of the grid's size.
    """

    stack: str
    policy: str
    levels: tuple[Level, ...]
    evaluations: int
    rows: tuple[Row, ...]
    breaks: tuple[Break, ...]
    saved: float
    canvas: str = ""

    @property
    def heading(self) -> str:
        """One line that says what it is."""
        return f"{self.stack} · policy {self.policy}"

    @property
    def summary(self) -> str:
        """One line that says what it saves."""
        saved = f"saves {self.saved:.1%} of the multiply-accumulates" if self.saved else "nothing is skipped"
        canvas = f"{self.canvas} · " if self.canvas else ""
        return f"{canvas}{len(self.levels)} steps, {self.evaluations} evaluations · {saved}"


def make_timeline(
    stack: str,
    shape: StackShape,
    table: TruthTable,
    evaluations: Sequence[Evaluation],
    canvas: Canvas | None = None,
) -> Timeline:
    """The timeline of a policy's truth table.

    Args:
        stack: the stack's name.
        shape: the stack.
        table: the policy over a schedule.
        evaluations: the sampler's calls on that schedule.
        canvas: what is sampled, where it is larger than the grid.
    """
    times = None if canvas is None else canvas.rows_by_brick(shape)
    whole = macs(shape, rows=times)
    own = {brick.id: brick_macs(brick) * (1 if times is None else times[brick.id]) for brick in shape.bricks}
    if shape.pretrained is not None:
        own[shape.pretrained.id] = (pretrained_macs(shape.pretrained) or 0) * max((times or {"": 1}).values())
    rows = tuple(
        Row(id, own[id] / whole, tuple(id in configuration for configuration in table.configurations))
        for id in shape.ids
    )
    saved = macs_saved(shape, table, evaluations, times)
    size = "" if canvas is None else f"canvas {canvas.size[0]}x{canvas.size[1]}"
    return Timeline(stack, table.policy, table.levels, len(evaluations), rows, table.breaks(), saved, size)


def macs_saved(
    shape: StackShape,
    table: TruthTable,
    evaluations: Sequence[Evaluation],
    rows: Mapping[str, int] | None = None,
) -> float:
    """Share of the multiply-accumulates of sampling without skips that a policy saves, 0 to 1.

    On a canvas `rows` says how often each brick runs on a whole grid (`Canvas.rows_by_brick`).
    """
    nothing_skipped = tabulate(Policy("none"), table.bricks, table.levels)
    return 1 - policy_macs(shape, table, evaluations, rows) / policy_macs(shape, nothing_skipped, evaluations, rows)


def sigma_text(sigma: float) -> str:
    """A noise level with three figures, as short as it goes."""
    return f"{sigma:.0f}" if sigma >= 100 else f"{sigma:.3g}"


def breaks_by_step(breaks: Sequence[Break]) -> list[tuple[int, float, str]]:
    """Breaks that fall on one step together: the step, its noise level, and a text such as `image off`."""
    found: list[tuple[int, float, str]] = []
    for step, together in groupby(breaks, key=lambda found: found.step):
        group = list(together)
        text = ", ".join(f"{found.brick} {'on' if found.runs else 'off'}" for found in group)
        found.append((step, group[0].sigma, text))
    return found


def ticks(steps: int, room: int) -> list[int]:
    """Steps to label when there is room for `room` labels: evenly spaced from 0, and always the last."""
    for stride in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000):
        if (steps - 1) // stride + 1 <= max(room, 2):
            break
    else:
        stride = steps
    inner = [step for step in range(0, steps - 1, stride) if steps - 1 - step >= stride]
    return [*inner, steps - 1]
