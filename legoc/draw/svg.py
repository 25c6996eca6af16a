"""A timeline as SVG: one self-contained file, legible on light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from legoc.draw import elements
from legoc.draw.timeline import Row, Timeline, breaks_by_step, sigma_text, ticks

WIDTH = 960
LEFT = 168
RIGHT = 28
HEAD = 68
LANE = 18
"""Height of a line of break labels."""

MAX_LANES = 5
ROW_GAP = 4
MIN_ROW = 18
PLOT_HEIGHT = 210
"""Height of all rows together, unless there are so many bricks that each needs its least."""

AXES = 62
MAX_STEP_LINES = 80
"""Schedules up to so many steps show a line between steps."""

SHARES = " · shares are of one evaluation with all bricks"
"""What the percentages beside the rows are of."""

CHARACTER = 6.3
"""Width of a character of the small type, in pixels, for keeping labels apart."""

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2430; }
.title { font-size: 16px; font-weight: 600; }
.small { font-size: 11px; fill: #5a6472; }
.page { fill: #ffffff; }
.runs { fill: #3867c8; }
.skipped { fill: url(#hatch); stroke: #b3bbc8; stroke-width: 1; }
.hatch { stroke: #b3bbc8; stroke-width: 1.5; }
.between { stroke: #ffffff; stroke-width: 1; stroke-opacity: .35; }
.break { stroke: #c2410c; stroke-width: 1.5; stroke-dasharray: 4 3; }
.at { font-size: 11px; fill: #b03a0a; stroke: #ffffff; stroke-width: 3; paint-order: stroke; }
.axis { stroke: #98a2b3; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9ef; } .small { fill: #a3adbd; } .page { fill: #15181f; } .runs { fill: #6d9bff; }
  .skipped { stroke: #4f586a; } .hatch { stroke: #4f586a; } .between { stroke: #15181f; }
  .break { stroke: #ff9a62; } .at { fill: #ffae80; stroke: #15181f; } .axis { stroke: #667085; }
}
"""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where things stand, in pixels."""

    timeline: Timeline
    lanes: int

    @property
    def top(self) -> float:
        return HEAD + self.lanes * LANE

    @property
    def step_width(self) -> float:
        return (WIDTH - LEFT - RIGHT) / len(self.timeline.levels)

    def x(self, step: float) -> float:
        return LEFT + step * self.step_width

    @property
    def heights(self) -> list[float]:
        return row_heights([row.share for row in self.timeline.rows])

    @property
    def bottom(self) -> float:
        return self.top + sum(self.heights) + ROW_GAP * (len(self.timeline.rows) - 1)


def timeline_svg(timeline: Timeline) -> str:
    """The timeline as an SVG document.

    Steps run from left (pure noise) to right, a second axis gives their noise levels; the top brick is the
    top row. A row is as high as its brick's share of the multiply-accumulates (but never too low to read),
    filled where the brick runs, hatched where it is left out. Breaks carry their noise level.
    """
    labels = _place_labels(timeline)
    frame = _Frame(timeline, lanes=1 + max((label.lane for label in labels), default=-1))
    height = frame.bottom + AXES
    title = f"{timeline.heading}: {timeline.summary}"
    svg = elements.document(WIDTH, height, title=title, description=description(timeline), style=STYLE)
    _hatch(svg)
    elements.text(svg, 20, 30, timeline.heading, "title")
    elements.text(svg, 20, 50, timeline.summary + SHARES + _unlabelled(timeline, len(labels)), "small")
    top = frame.top
    for row, row_height in reversed(list(zip(timeline.rows, frame.heights, strict=True))):
        _row(svg, frame, row, top, row_height)
        top += row_height + ROW_GAP
    _axes(svg, frame)
    for label in labels:
        _break_line(svg, frame, label)
    for label in labels:
        elements.text(svg, label.x, frame.top - 6 - label.lane * LANE, label.text, "at")
    return elements.serialise(svg)


def description(timeline: Timeline) -> str:
    """The timeline in words, for those who do not see it: every brick with its share, and the first breaks."""
    rows = [
        f"{row.brick}: {row.share:.1%} of the MACs of an evaluation, runs at {sum(row.runs)} steps"
        for row in timeline.rows
    ]
    found = breaks_by_step(timeline.breaks)
    breaks = [f"step {step}, σ {sigma_text(sigma)}: {text}" for step, sigma, text in found[:MAX_LANES]]
    more = [f"{len(found) - MAX_LANES} further breaks"] if len(found) > MAX_LANES else []
    return "; ".join([*rows, *breaks, *more])


def row_heights(shares: list[float]) -> list[float]:
    """Heights in proportion to the shares, none below `MIN_ROW`; together `PLOT_HEIGHT` where possible."""
    low = {i for i, share in enumerate(shares) if share * PLOT_HEIGHT < MIN_ROW * sum(shares)}
    rest = sum(share for i, share in enumerate(shares) if i not in low)
    free = max(PLOT_HEIGHT - MIN_ROW * len(low), MIN_ROW * (len(shares) - len(low)))
    return [MIN_ROW if i in low else max(MIN_ROW, free * share / rest) for i, share in enumerate(shares)]


def _row(svg: Element, frame: _Frame, row: Row, top: float, height: float) -> None:
    middle = top + height / 2
    share = f"{row.share:.1%}"
    if height > 30:
        elements.text(svg, LEFT - 12, middle - 2, row.brick, "", anchor="end")
        elements.text(svg, LEFT - 12, middle + 14, f"{share} of MACs", "small", anchor="end")
    else:
        elements.text(svg, LEFT - 12, middle + 4, share, "small", anchor="end")
        elements.text(svg, LEFT - 18 - CHARACTER * len(share), middle + 4, row.brick, "", anchor="end")
    for start, stop, runs in row.spans:
        x, width = frame.x(start), frame.x(stop) - frame.x(start)
        inset = 0 if runs else 0.5  # a stroke straddles the edge
        box = {
            "x": f"{x + inset:.2f}",
            "y": f"{top + inset:.2f}",
            "width": f"{width - 2 * inset:.2f}",
            "height": f"{height - 2 * inset:.2f}",
        }
        SubElement(svg, "rect", {"class": "runs" if runs else "skipped", **box})
        if runs and len(frame.timeline.levels) <= MAX_STEP_LINES:
            for step in range(start + 1, stop):
                elements.line(svg, "between", frame.x(step), top, frame.x(step), top + height)


def _axes(svg: Element, frame: _Frame) -> None:
    bottom, levels = frame.bottom + 6, frame.timeline.levels
    elements.line(svg, "axis", LEFT, bottom, WIDTH - RIGHT, bottom)
    elements.text(svg, LEFT - 20, bottom + 20, "step", "small", anchor="end")
    elements.text(svg, LEFT - 20, bottom + 38, "noise level σ", "small", anchor="end")
    for step in ticks(len(levels), (WIDTH - LEFT - RIGHT) // 46):
        x = frame.x(step + 0.5)
        elements.line(svg, "axis", x, bottom, x, bottom + 5)
        elements.text(svg, x, bottom + 20, f"{step}", "small", anchor="middle")
        elements.text(svg, x, bottom + 38, sigma_text(levels[step].sigma), "small", anchor="middle")


@dataclass(frozen=True, slots=True)
class _Label:
    """A break's label: its step, its text, where the text starts, and its lane, counted from the rows up."""

    step: int
    text: str
    x: float
    lane: int

    @property
    def end(self) -> float:
        return self.x + CHARACTER * len(self.text)


def _place_labels(timeline: Timeline) -> list[_Label]:
    """Labels of breaks in lanes, right to left: none is crossed by the line of a break on its right."""
    frame = _Frame(timeline, 0)
    placed: list[_Label] = []
    for step, sigma, what in reversed(breaks_by_step(timeline.breaks)):
        text = f"σ {sigma_text(sigma)}: {what}"
        x = max(8.0, min(frame.x(step) + 5, WIDTH - 8 - CHARACTER * len(text)))
        end = x + CHARACTER * len(text) + 8
        lane = 1 + max((other.lane for other in placed if min(other.x, frame.x(other.step)) < end), default=-1)
        if lane < MAX_LANES:
            placed.append(_Label(step, text, x, lane))
    return placed


def _unlabelled(timeline: Timeline, labelled: int) -> str:
    left = len(breaks_by_step(timeline.breaks)) - labelled
    return f" · {left} further breaks without a label" if left else ""


def _break_line(svg: Element, frame: _Frame, label: _Label) -> None:
    x = frame.x(label.step)
    elements.line(svg, "break", x, frame.top - 16 - label.lane * LANE, x, frame.bottom + 6)


def _hatch(svg: Element) -> None:
    pattern = SubElement(
        SubElement(svg, "defs"),
        "pattern",
        {"id": "hatch", "width": "7", "height": "7", "patternUnits": "userSpaceOnUse"}
        | {"patternTransform": "rotate(45)"},
    )
    elements.line(pattern, "hatch", 0, 0, 0, 7)
