"""A contact sheet: a row of pictures a class, or rows of pictures spread over a set without classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from legoc_runtime.data.training_set import spread_indices
from legoc_runtime.errors import LegocError

COLUMNS, ROWS = 12, 12
TILE = 64
"""Side of a tile in pixels; small images are enlarged by whole factors, so that their pixels can be seen."""

_GAP, _MARGIN, _LINE, _LABELS = 4, 16, 20, 170
_INK, _FAINT, _PAPER, _BAD = "#1a1a1a", "#6b6b6b", "#ffffff", "#c0392b"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a sheet: its name, a line below it, and the indices of its pictures."""

    name: str
    note: str
    indices: tuple[int, ...]


def rows_of(labels: Sequence[int] | None, names: Sequence[str] | None, examples: int) -> list[Row]:
    """What a sheet shows: classes spread evenly where there are many, pictures of each spread evenly over the set."""
    if labels is None:
        indices = spread_indices(examples, COLUMNS * ROWS)
        return [Row("", "", tuple(indices[at : at + COLUMNS])) for at in range(0, len(indices), COLUMNS)]
    members: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    present = sorted(members)
    shown = [present[place] for place in spread_indices(len(present), ROWS)]
    return [
        Row(
            names[label] if names is not None and label < len(names) else f"class {label}",
            f"{label}: {len(members[label]):,}",
            tuple(members[label][place] for place in spread_indices(len(members[label]), COLUMNS)),
        )
        for label in shown
    ]


def contact_sheet(
    title: str, note: str, rows: Sequence[Row], pixels: Callable[[int], NDArray[np.uint8]]
) -> Image.Image:
    """Draw a sheet.

    Args:
        title: its first line.
        note: its second.
        rows: what to show.
        pixels: an image by its index, uint8 [3, height, width]; one that cannot be read is crossed out.
    """
    left = _MARGIN + (_LABELS if any(row.name for row in rows) else 0)
    width = left + COLUMNS * (TILE + _GAP) + _MARGIN
    top = _MARGIN + 2 * _LINE + _GAP
    sheet = Image.new("RGB", (width, top + len(rows) * (TILE + _GAP) + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(size=15), ImageFont.load_default(size=12)
    draw.text((_MARGIN, _MARGIN), _fitted(draw, title, large, width - 2 * _MARGIN), fill=_INK, font=large)
    draw.text((_MARGIN, _MARGIN + _LINE), _fitted(draw, note, small, width - 2 * _MARGIN), fill=_FAINT, font=small)
    for number, row in enumerate(rows):
        high = top + number * (TILE + _GAP)
        if row.name:
            draw.text((_MARGIN, high + 14), _fitted(draw, row.name, small, _LABELS - 12), fill=_INK, font=small)
            draw.text((_MARGIN, high + 32), row.note, fill=_FAINT, font=small)
        for column, index in enumerate(row.indices):
            wide = left + column * (TILE + _GAP)
            try:
                tile = _tile(pixels(index))
            except LegocError:
                draw.rectangle((wide, high, wide + TILE - 1, high + TILE - 1), outline=_BAD)
                draw.line((wide, high, wide + TILE - 1, high + TILE - 1), fill=_BAD)
                continue
            at = (wide + (TILE - tile.width) // 2, high + (TILE - tile.height) // 2)
            sheet.paste(tile, at)
            # an edge, so that white pictures can be told from paper
            draw.rectangle((at[0] - 1, at[1] - 1, at[0] + tile.width, at[1] + tile.height), outline="#dddddd")
    return sheet


def latent_pixels(latent: NDArray[np.float32], std: float) -> NDArray[np.uint8]:
    """The first three channels of a latent as colours, uint8 [3, height, width]; two deviations either way are full."""
    shown = latent[:3] if len(latent) >= 3 else np.repeat(latent[:1], 3, axis=0)
    return np.clip(shown / (4 * max(std, 1e-6)) * 255 + 127.5, 0, 255).astype(np.uint8)


def _tile(pixels: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    longest = max(image.size)
    if longest <= TILE:
        times = TILE // longest
        return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    image.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
    return image


def _fitted(
    draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> str:
    """The text, cut where it is too long. The font draws Latin letters; what it lacks becomes a box."""
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(f"{text}...", font=font) > width:
        text = text[:-1]
    return f"{text}..."
