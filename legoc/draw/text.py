"""A timeline for the terminal: the top brick first, as many lines a brick as its share of the cost."""

from __future__ import annotations

from dataclasses import dataclass

from legoc.draw.timeline import Timeline, breaks_by_step, sigma_text, ticks


@dataclass(frozen=True, slots=True)
class Marks:
    """Characters for steps at which a brick runs, is left out, or (one character, several steps) both."""

    runs: str
    skipped: str
    mixed: str
    sigma: str
    dot: str


BLOCKS = Marks(runs="█", skipped="░", mixed="▒", sigma="σ", dot="·")
ASCII = Marks(runs="#", skipped=".", mixed="+", sigma="sigma", dot="-")

MAX_REPEAT = 4
"""Characters that a step takes at most, where there is room."""

LINES_A_BRICK = 2
"""Lines of all bricks together, over the number of bricks. Each has at least one, so there may be some more."""

MAX_LINES = 24
"""Lines of all bricks together where each needs no more than one."""

SHOWN_BREAKS = 12
"""Breaks that are listed; a policy that flickers has more, and says how many."""


def timeline_text(timeline: Timeline, *, width: int = 80, marks: Marks = BLOCKS) -> str:
    """The timeline as lines of text.

    Args:
        timeline: what to draw.
        width: columns of the terminal; the strip keeps at least 16.
        marks: `BLOCKS`, or `ASCII` where the terminal cannot show them.
    """
    names = max(5, *(len(row.brick) for row in timeline.rows))
    margin = names + 9
    room = max(16, width - margin)
    steps = len(timeline.levels)
    columns = steps * min(MAX_REPEAT, room // steps) if steps <= room else room
    heights = {row.brick: row_lines(row.share, len(timeline.rows)) for row in timeline.rows}
    lines = [timeline.heading, timeline.summary, ""]
    for row in reversed(timeline.rows):
        strip = "".join(_mark(row.runs, column, columns, marks) for column in range(columns))
        lines.append(f"{row.brick:<{names}}  {row.share:>5.1%}  {strip}")
        lines += [f"{'':{margin}}{strip}"] * (heights[row.brick] - 1)
    lines += _axes(timeline, columns, names, marks)
    lines += _breaks(timeline)
    return "\n".join(lines).replace("·", marks.dot) + "\n"


def row_lines(share: float, bricks: int) -> int:
    """Lines of a brick with this share of the cost, 0 to 1, in a stack of so many bricks."""
    return max(1, round(share * min(LINES_A_BRICK * bricks, MAX_LINES)))


def _mark(runs: tuple[bool, ...], column: int, columns: int, marks: Marks) -> str:
    steps = len(runs)
    first = column * steps // columns
    stop = max(first + 1, (column + 1) * steps // columns)
    states = set(runs[first:stop])
    if len(states) == 2:
        return marks.mixed
    return marks.runs if True in states else marks.skipped


def _axes(timeline: Timeline, columns: int, names: int, marks: Marks) -> list[str]:
    steps = len(timeline.levels)
    shown = ticks(steps, columns // 9)
    step_line, sigma_line = "", ""
    for step in shown:
        at = step * columns // steps
        step_line = f"{step_line:<{at}}{step}"
        sigma_line = f"{sigma_line:<{at}}{sigma_text(timeline.levels[step].sigma)}"
    return [f"{'step':<{names + 9}}{step_line}", f"{marks.sigma:<{names + 9}}{sigma_line}"]


def _breaks(timeline: Timeline) -> list[str]:
    found = breaks_by_step(timeline.breaks)
    lines = [f"  step {step}, sigma {sigma_text(sigma)}: {text}" for step, sigma, text in found[:SHOWN_BREAKS]]
    if len(found) > SHOWN_BREAKS:
        lines.append(f"  and {len(found) - SHOWN_BREAKS} more")
    return ["", "where bricks go on or off", *lines] if lines else []
