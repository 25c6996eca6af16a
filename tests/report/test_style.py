"""The colours of the page, in both themes: everything that is read stands out from its ground."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import legoc.report
from legoc.draw import curves, graph_svg, svg
from legoc.review.classify import IMPACTS

STYLE = (Path(legoc.report.__file__).parent / "style.css").read_text(encoding="utf-8")
LEAST = 4.5
"""WCAG 2.2, 1.4.3: text of usual size."""

MARKS = ("breaks", "resumable", "meaning", "training")
READ = (
    *((word, ground) for word in ("text", "muted", "accent") for ground in ("ground", "surface", "soft", "code")),
    ("text", "mark"),
    *((word, f"{impact}-soft") for impact in IMPACTS for word in (impact, "text")),
    *((impact, ground) for impact in MARKS for ground in ("surface", "soft")),
)
"""Colours of words, each with the ground that it stands on."""


def colours(style: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", style))


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def themes() -> dict[str, dict[str, str]]:
    light, dark = STYLE.split("@media screen and (prefers-color-scheme: dark)")
    return {"light": colours(light), "dark": colours(dark.split("@media print")[0])}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_read_stands_out(theme: str) -> None:
    palette = themes()[theme]
    weak = {pair: round(contrast(palette[pair[0]], palette[pair[1]]), 2) for pair in READ}
    assert not {pair: ratio for pair, ratio in weak.items() if ratio < LEAST}


def test_both_themes_have_every_colour_and_their_own() -> None:
    light, dark = themes().values()
    assert light.keys() == dark.keys()
    assert not {name for name in light if light[name] == dark[name]}


def test_every_colour_that_is_used_is_there() -> None:
    assert set(re.findall(r"var\(--([\w-]+)\)", STYLE)) == themes()["light"].keys()


@pytest.mark.parametrize("style", [graph_svg.STYLE, svg.STYLE, curves.STYLE], ids=["graph", "timeline", "curves"])
def test_pictures_stand_on_the_surface_of_the_page(style: str) -> None:
    assert f".page {{ fill: {themes()['light']['surface']}" in style


@pytest.mark.parametrize(("palette", "theme"), [(curves.LIGHT, "light"), (curves.DARK, "dark")], ids=["light", "dark"])
def test_curves_and_their_names_stand_out(palette: tuple[str, ...], theme: str) -> None:
    assert len(set(palette)) == len(palette)
    assert min(contrast(colour, themes()[theme]["surface"]) for colour in palette) >= LEAST
