"""The graph of a stack as SVG: one self-contained file, legible on light and dark pages.

Bricks stand on one another as in the stack. The noisy image enters from a rail on the left, the conditioning from a
rail on the right, and what a brick hands on goes up between them, past the bricks that are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from legoc.cost.table import parameter_count, quantity
from legoc.draw import elements
from legoc.draw.graph import DrawnBrick, GraphPicture, Mark, Panel, brick_lines
from legoc.draw.graph_windows import BETWEEN, SIDE, windows_and_tokens

WIDTH = 960
HEAD = 72
FOOT = 18
PANEL_HEAD = 30
"""Height of a panel's heading, and of the line above it that says when the panel's configuration runs."""

PANEL_LINE = 20
PILL = 34
"""Height of the boxes at both ends: the output on top, the inputs at the bottom."""

CARD, GHOST, GAP = 116, 46, 40
"""Heights of a brick that runs and of one that is left out, and the space between two."""

CARD_LEFT, CARD_RIGHT = 112, 848
IMAGE_RAIL, CONDITION_RAIL = 46, 914
SPINE = CARD_LEFT + 14 + SIDE / 2
"""Where the estimate goes up: through the middle of the drawn grids."""

BYPASS = 86
"""Where it goes past what is left out."""

TEXT_LEFT = CARD_LEFT + 14 + 2 * SIDE + BETWEEN + 22
BAR_LEFT, BAR_RIGHT = 640, CARD_RIGHT - 18
LONGEST_ID, LONGEST_HEADING = 28, 104
"""Characters of a text that are shown; the picture's description has it whole."""

HEAD_LENGTH = 9

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2430; }
.title { font-size: 17px; font-weight: 600; }
.id { font-size: 15px; font-weight: 600; }
.small { font-size: 12px; fill: #55606f; }
.page { fill: #ffffff; }
.card, .pill { fill: #f5f7fb; stroke: #c3cad6; stroke-width: 1; }
.ghost { fill: none; stroke: #98a2b3; stroke-width: 1; stroke-dasharray: 5 4; }
.faint { fill: #667085; font-weight: 600; }
.grid { fill: #ffffff; stroke: #7c8798; stroke-width: 1; }
.marked { fill: #3867c8; fill-opacity: .28; }
.cut { fill: none; stroke: #7c8798; stroke-width: .8; }
.token { fill: none; stroke: #3867c8; stroke-width: .6; }
.frame { fill: none; stroke: #3867c8; stroke-width: 1.2; }
.enlarge { stroke: #3867c8; stroke-width: .8; stroke-dasharray: 2 2; }
.share { fill: #3867c8; }
.track { fill: #dfe4ec; }
.rail { fill: none; stroke: #667085; stroke-width: 1.3; }
.estimate { fill: none; stroke: #3867c8; stroke-width: 2.4; }
.bypass { fill: none; stroke: #c2410c; stroke-width: 2.4; }
.past { font-size: 12px; fill: #b03a0a; }
.rail-head { fill: #667085; } .estimate-head { fill: #3867c8; } .bypass-head { fill: #c2410c; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9ef; } .small { fill: #a9b3c2; } .page { fill: #15181f; }
  .card, .pill { fill: #1e232d; stroke: #434c5c; }
  .ghost { stroke: #667085; } .faint { fill: #98a2b3; } .grid { fill: #15181f; stroke: #8a95a6; }
  .marked { fill: #6d9bff; fill-opacity: .32; } .cut { stroke: #8a95a6; } .token { stroke: #8db1ff; }
  .frame, .enlarge { stroke: #8db1ff; } .share { fill: #6d9bff; } .track { fill: #343c4a; } .rail { stroke: #98a2b3; }
  .estimate { stroke: #6d9bff; } .bypass { stroke: #ff9a62; } .past { fill: #ffae80; }
  .rail-head { fill: #98a2b3; } .estimate-head { fill: #6d9bff; } .bypass-head { fill: #ff9a62; }
}
"""

MARKS_STYLE = """.changed { stroke: #b7791f; stroke-width: 3; } .new { stroke: #1a7f4b; stroke-width: 3; }
.gone { stroke: #c62f3b; stroke-width: 3; stroke-dasharray: 8 4; }
.mark { font-size: 12px; font-weight: 600; }
.changed-mark { fill: #8a5a0b; } .new-mark { fill: #156b3f; } .gone-mark { fill: #b3202d; }
@media (prefers-color-scheme: dark) {
  .changed { stroke: #e3a93c; } .new { stroke: #3fb972; } .gone { stroke: #ff6b6b; }
  .changed-mark { fill: #f0bd5c; } .new-mark { fill: #5bd08b; } .gone-mark { fill: #ff8a8a; }
}
"""
"""Outlines of a comparison, after `STYLE`."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the parts of one panel stand: upper edges in pixels.

    Attributes:
        output: the output's box.
        cards: brick id -> its card.
        inputs: the inputs' boxes.
    """

    output: float
    cards: dict[str, float]
    inputs: float


def graph_svg(picture: GraphPicture, marks: Mapping[str, Mark] | None = None) -> str:
    """The picture as an SVG document, the same text for the same picture.

    Args:
        picture: what to draw.
        marks: brick id -> what a comparison says of it, for bricks that are outlined.
    """
    heights = [panel_height(panel, alone=len(picture.panels) == 1) for panel in picture.panels]
    height = HEAD + sum(heights) + FOOT
    svg = elements.document(
        WIDTH,
        height,
        title=f"{picture.stack}: {len(picture.shape.ids)} bricks",
        description=description(picture),
        style=STYLE + (MARKS_STYLE if marks else ""),
    )
    elements.text(svg, 20, 32, picture.stack, "title")
    elements.text(svg, 20, 52, _summary(picture), "small")
    top = float(HEAD)
    for panel, panel_size in zip(picture.panels, heights, strict=True):
        _panel(svg, picture, panel, top, marks or {})
        top += panel_size
    return elements.serialise(svg)


def panel_height(panel: Panel, *, alone: bool) -> float:
    """Height of a panel in pixels. A panel that is alone and runs the whole stack has no heading."""
    cards = sum(CARD if brick.runs else GHOST for brick in panel.bricks)
    heading = 0 if alone and not panel.when and not panel.skipped else PANEL_HEAD
    when = PANEL_LINE if panel.when else 0
    return when + heading + PILL + cards + GAP * (len(panel.bricks) + 1) + PILL + (0 if alone else GAP)


def description(picture: GraphPicture) -> str:
    """The picture in words, for those who do not see it."""
    sentences = [_summary(picture)]
    for panel in picture.panels:
        sentences.append(f"{panel.when + ', ' if panel.when else ''}{panel.summary}")
        sentences += [_sentence(brick) for brick in panel.bricks if brick.runs]
        sentences.append(f"the result is the estimate of {panel.output}")
    return ". ".join(sentences) + "."


def _sentence(brick: DrawnBrick) -> str:
    source = "zeros" if brick.reads_zeros else f"the {brick.reads} brick" if brick.reads else "no estimate"
    return f"{brick.shape.id}: {'; '.join(brick_lines(brick))}; {brick.share:.1%} of the MACs; reads {source}"


def _summary(picture: GraphPicture) -> str:
    shape = picture.shape
    grid = f"{shape.grid[0]}×{shape.grid[1]}×{shape.channels}"
    counts = f"{parameter_count(picture.parameters)} parameters · {quantity(picture.macs)}MACs an evaluation"
    return f"{grid} · {len(shape.ids)} bricks · {counts}"


def _panel(svg: Element, picture: GraphPicture, panel: Panel, top: float, marks: Mapping[str, Mark]) -> None:
    if panel.when or panel.skipped or len(picture.panels) > 1:
        if panel.when:
            elements.text(svg, CARD_LEFT, top + 16, _shortened(panel.when, LONGEST_HEADING), "id")
            top += PANEL_LINE
        summary = _shortened(panel.summary, LONGEST_HEADING)
        elements.text(svg, CARD_LEFT, top + 16, summary, "small" if panel.when else "id")
        top += PANEL_HEAD
    frame = _frame(panel, top)
    _rails(svg, panel, frame)
    for brick in panel.bricks:
        _card(svg, brick, frame.cards[brick.shape.id], marks.get(brick.shape.id))
    _paths(svg, picture, panel, frame)
    _ends(svg, picture, frame)


def _frame(panel: Panel, top: float) -> _Frame:
    cards: dict[str, float] = {}
    y = top + PILL + GAP
    for brick in reversed(panel.bricks):
        cards[brick.shape.id] = y
        y += (CARD if brick.runs else GHOST) + GAP
    return _Frame(top, cards, y)


def _ends(svg: Element, picture: GraphPicture, frame: _Frame) -> None:
    elements.box(svg, "pill", CARD_LEFT, frame.output, CARD_RIGHT - CARD_LEFT, PILL, radius=8)
    elements.text(
        svg, (CARD_LEFT + CARD_RIGHT) / 2, frame.output + 22, "output: estimate of the clean image", anchor="middle"
    )
    elements.box(svg, "pill", 20, frame.inputs, 340, PILL, radius=8)
    elements.text(svg, 36, frame.inputs + 22, "noisy image, scaled to unit variance")
    elements.box(svg, "pill", WIDTH - 360, frame.inputs, 340, PILL, radius=8)
    elements.text(svg, WIDTH - 36, frame.inputs + 22, f"conditioning: {picture.conditioning}", anchor="end")


def _rails(svg: Element, panel: Panel, frame: _Frame) -> None:
    """The noisy image and the conditioning, to every brick that runs."""
    middles = [frame.cards[brick.shape.id] + CARD / 2 for brick in panel.bricks if brick.runs]
    for rail, edge in ((IMAGE_RAIL, CARD_LEFT), (CONDITION_RAIL, CARD_RIGHT)):
        elements.path(svg, "rail", f"M{rail} {frame.inputs:.2f}V{min(middles):.2f}")
        inwards = 1 if edge > rail else -1
        for middle in middles:
            elements.path(svg, "rail", f"M{rail} {middle:.2f}H{edge - HEAD_LENGTH * inwards}")
            _head(svg, "rail", edge, middle, inwards, 0)


def _card(svg: Element, brick: DrawnBrick, top: float, mark: Mark | None) -> None:
    name = _shortened(brick.shape.id, LONGEST_ID)
    if not brick.runs:
        elements.box(svg, "ghost", CARD_LEFT, top, CARD_RIGHT - CARD_LEFT, GHOST, radius=8)
        elements.text(svg, CARD_LEFT + 14, top + 28, name, "faint")
        words = f"left out: {brick.share:.1%} of the MACs"
        elements.text(svg, BAR_RIGHT, top + 28, words, "small", anchor="end")
        return
    elements.box(svg, f"card {mark or ''}".rstrip(), CARD_LEFT, top, CARD_RIGHT - CARD_LEFT, CARD, radius=8)
    if mark is not None:
        elements.text(svg, BAR_RIGHT, top + 24, mark, f"mark {mark}-mark", anchor="end")
    windows_and_tokens(svg, brick.shape, CARD_LEFT + 14, top + (CARD - SIDE) / 2)
    elements.text(svg, TEXT_LEFT, top + 26, name, "id")
    for i, words in enumerate(brick_lines(brick)):
        elements.text(svg, TEXT_LEFT, top + 47 + 18 * i, words, "small")
    room = BAR_RIGHT - BAR_LEFT
    elements.text(svg, BAR_LEFT, top + 45, f"{brick.share:.1%} of the MACs")
    elements.box(svg, "track", BAR_LEFT, top + 54, room, 12, radius=3)
    filled = max(2.0, room * brick.share)
    elements.box(svg, "share", BAR_LEFT, top + 54, filled, 12, radius=min(3, filled / 2))
    elements.text(svg, BAR_LEFT, top + 84, f"{quantity(brick.macs)}MACs", "small")


def _paths(svg: Element, picture: GraphPicture, panel: Panel, frame: _Frame) -> None:
    """What bricks hand on, from each to its reader, and from the last to the output."""
    for brick in panel.bricks:
        reader = frame.cards[brick.shape.id] + CARD
        if brick.reads is not None:
            _path(svg, frame.cards[brick.reads], reader, picture.carried(brick))
        elif brick.reads_zeros:
            elements.path(svg, "estimate", f"M{SPINE} {reader + 22:.2f}V{reader + HEAD_LENGTH:.2f}")
            _head(svg, "estimate", SPINE, reader, 0, -1)
            elements.text(svg, SPINE + 14, reader + 25, "zeros: no brick below runs", "small")
    _path(svg, frame.cards[panel.output], frame.output + PILL, "estimate")


def _path(svg: Element, source: float, reader: float, words: str) -> None:
    """From the upper edge of a card at `source` up to the lower edge of what reads it."""
    end = reader + HEAD_LENGTH
    if source - reader <= GAP:
        elements.path(svg, "estimate", f"M{SPINE} {source:.2f}V{end:.2f}")
        _head(svg, "estimate", SPINE, reader, 0, -1)
        elements.text(svg, SPINE + 14, reader + GAP / 2 + 4, words, "small")
        return
    low, high, bend = source - 12, reader + 24, 8
    elements.path(
        svg,
        "bypass",
        f"M{SPINE} {source:.2f}V{low + bend:.2f}Q{SPINE} {low:.2f} {SPINE - bend} {low:.2f}"
        f"H{BYPASS + bend}Q{BYPASS} {low:.2f} {BYPASS} {low - bend:.2f}V{high + bend:.2f}"
        f"Q{BYPASS} {high:.2f} {BYPASS + bend} {high:.2f}H{SPINE - bend}"
        f"Q{SPINE} {high:.2f} {SPINE} {high - bend:.2f}V{end:.2f}",
    )
    _head(svg, "bypass", SPINE, reader, 0, -1)
    elements.text(svg, SPINE + 14, reader + GAP / 2 + 4, f"{words}, past what is left out", "past")


def _shortened(words: str, longest: int) -> str:
    return words if len(words) <= longest else words[: longest - 1] + "…"


def _head(svg: Element, kind: str, x: float, y: float, right: int, down: int) -> None:
    """An arrow's head with its tip at a point. Drawn, not a marker: a marker takes its line's colour in few viewers."""
    back_x, back_y = x - HEAD_LENGTH * right, y - HEAD_LENGTH * down
    side_x, side_y = HEAD_LENGTH / 2 * down, HEAD_LENGTH / 2 * right
    corners = ((x, y), (back_x + side_x, back_y + side_y), (back_x - side_x, back_y - side_y))
    elements.path(svg, f"{kind}-head", "M" + "L".join(f"{at_x:.2f} {at_y:.2f}" for at_x, at_y in corners) + "Z")
