"""Bars: lengths in proportion, everything inside the page."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from legoc.draw.bars import WIDTH, Bar, bars_svg

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*bars: Bar) -> ElementTree.Element:
    return ElementTree.fromstring(bars_svg("times", "median of 3", bars))


def test_bars_are_as_long_as_their_values() -> None:
    svg = drawn(Bar("one", 10, 9, 11, "10 ms", True), Bar("two", 20, 18, 40, "20 ms", False))
    widths = {e.get("class"): float(e.get("width", 0)) for e in svg.iter(f"{SVG}rect")}
    assert widths["other"] == 2 * widths["own"]
    (low, high), _ = [(float(e.get("x1", 0)), float(e.get("x2", 0))) for e in svg.iter(f"{SVG}line")]
    assert abs((high - low) - 0.2 * widths["own"]) < 0.02


def test_everything_stays_on_the_page_however_long_the_label() -> None:
    svg = drawn(Bar("a" * 60, 1, 1, 1, "1 ms", True), Bar("b", 0, 0, 0, "0 ms", False))
    ends = [float(e.get("x", 0)) + float(e.get("width", 0)) for e in svg.iter(f"{SVG}rect")]
    assert max(ends) <= WIDTH
    assert min(float(e.get("width", 0)) for e in svg.iter(f"{SVG}rect")) == 0


def test_nothing_but_zeros_can_be_drawn() -> None:
    assert len(list(drawn(Bar("a", 0, 0, 0, "0 ms", True)).iter(f"{SVG}line"))) == 1
