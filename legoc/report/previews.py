"""Grids that a run drew while it trained, side by side: how its pictures came to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from legoc.render.lines import counted
from legoc.report.html import Html, joined, tag
from legoc.report.parts import Section, image, note
from legoc.report.samples import Grid, read_grid

MAX_GRIDS = 6
"""Grids that a page shows, evenly spread over the run, the last among them."""

GRID_SIDE = 300
"""Small grids are enlarged by whole numbers, up to so many pixels a side."""


def previews_section(run: Path, previews: Sequence[tuple[int, str]]) -> Section:
    """The grids, from the first to the last.

    Args:
        run: the run.
        previews: images trained on and the file of each, one or more.
    """
    shown = [_shown(images, read_grid(run / file)) for images, file in spread(previews)]
    body = [tag("div", *shown, class_="grids")]
    if len(previews) > len(shown):
        body.append(note(f"{len(shown)} of {counted(len(previews), 'grid')} in `previews/`."))
    return Section("previews", "While it trained", joined(body))


def spread(previews: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Up to MAX_GRIDS of them at even distances, the first and the last among them."""
    count = min(len(previews), MAX_GRIDS)
    if count < 2:
        return list(previews[-1:])
    return [previews[round(i * (len(previews) - 1) / (count - 1))] for i in range(count)]


def _shown(images: int, grid: Grid | str) -> Html:
    title = tag("h3", f"{images:,} images")
    if isinstance(grid, str):
        return tag("article", title, note(f"No grid: {grid}."), class_="set")
    times = max(1, GRID_SIDE // max(grid.width, grid.height))
    size = (grid.width * times, grid.height * times)
    alt = f"Samples after {images:,} images"
    return tag("article", title, image("image/png", grid.data, alt, size, None, "grid"), class_="set")
