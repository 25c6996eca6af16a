"""Horizontal bars with their spread, as SVG: one self-contained file, legible on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from legoc.draw import elements

WIDTH = 960
HEAD, ROW, BAR, FOOT = 68, 30, 18, 16
VALUE_ROOM = 110
"""Pixels right of the longest bar, for its value."""

CHARACTER = 6.6
"""Width of a character, in pixels, for the room of the labels."""

MAX_LABEL = 420

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2430; }
.title { font-size: 16px; font-weight: 600; }
.small { font-size: 11px; fill: #5a6472; }
.page { fill: #ffffff; }
.own { fill: #3867c8; }
.other { fill: #a9b6cc; }
.spread { stroke: #1f2430; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9ef; } .small { fill: #a3adbd; } .page { fill: #15181f; } .own { fill: #6d9bff; }
  .other { fill: #4f586a; } .spread { stroke: #e6e9ef; }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar.

    Attributes:
        label: left of it.
        value: its length, 0 or more.
        low: lower end of its spread.
        high: upper end of its spread.
        words: the value as it is written beside it.
        own: whether it is what the picture is about, and not something it is held against.
    """

    label: str
    value: float
    low: float
    high: float
    words: str
    own: bool


def bars_svg(title: str, below: str, bars: Sequence[Bar]) -> str:
    """The bars under a title and a line of small type, in the order given, from zero.

    Args:
        title: what is shown.
        below: how it was measured.
        bars: one or more.
    """
    left = min(MAX_LABEL, max(CHARACTER * len(bar.label) for bar in bars)) + 32
    longest = max(bar.high for bar in bars) or 1.0
    scale = (WIDTH - left - VALUE_ROOM) / longest
    words = "; ".join(f"{bar.label}: {bar.words}" for bar in bars)
    svg = elements.document(WIDTH, HEAD + ROW * len(bars) + FOOT, title=title, description=words, style=STYLE)
    elements.text(svg, 20, 30, title, "title")
    elements.text(svg, 20, 50, below, "small")
    for i, bar in enumerate(bars):
        top = HEAD + i * ROW + (ROW - BAR) / 2
        middle = top + BAR / 2
        elements.text(svg, left - 12, middle + 4, bar.label, anchor="end")
        elements.box(svg, "own" if bar.own else "other", left, top, scale * bar.value, BAR, radius=2)
        elements.line(svg, "spread", left + scale * bar.low, middle, left + scale * bar.high, middle)
        elements.text(svg, left + scale * bar.high + 8, middle + 4, bar.words)
    return elements.serialise(svg)
