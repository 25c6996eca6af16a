"""Samples beside their nearest reference pictures, as one picture."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from legoc_runtime.evaluation.nearest import Nearest, picture
from legoc_runtime.evaluation.picture_set import PictureSet

SHOWN = 24
"""Samples shown: the most suspicious ones."""

COLUMNS = 3
PICTURE_PX = 96
GAP_PX, TRIO_GAP_PX, MARGIN_PX, HEAD_PX, LABEL_PX = 4, 28, 24, 92, 22
INK, FAINT = "#1f2430", "#667085"


def nearest_sheet(nearest: Nearest, samples: PictureSet, reference: PictureSet) -> bytes:
    """A PNG: in each cell a sample, its nearest picture by pixels, and that by features, with their distances."""
    shown = nearest.neighbours[:SHOWN]
    columns = min(COLUMNS, len(shown))
    cell = (3 * PICTURE_PX + 2 * GAP_PX + TRIO_GAP_PX, PICTURE_PX + LABEL_PX + 2 * GAP_PX)
    rows = math.ceil(len(shown) / columns)
    width = max(2 * MARGIN_PX + columns * cell[0], 620)
    sheet = Image.new("RGB", (width, HEAD_PX + rows * cell[1] + MARGIN_PX), "white")
    draw = ImageDraw.Draw(sheet)
    _head(draw, nearest)
    for i, neighbour in enumerate(shown):
        left = MARGIN_PX + i % columns * cell[0]
        top = HEAD_PX + i // columns * cell[1]
        trio = (
            (samples, neighbour.sample, samples.name(neighbour.sample)),
            (reference, neighbour.pixels.index, f"pixels {neighbour.pixels.distance:.1f}"),
            (reference, neighbour.features.index, f"features {neighbour.features.distance:.3g}"),
        )
        for j, (pictures, index, label) in enumerate(trio):
            x = left + j * (PICTURE_PX + GAP_PX)
            sheet.paste(_thumbnail(pictures, index), (x, top))
            draw.text((x, top + PICTURE_PX + 2), label[-16:], fill=INK if j else FAINT, font=ImageFont.load_default(12))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def _head(draw: ImageDraw.ImageDraw, nearest: Nearest) -> None:
    compared = len(nearest.neighbours)
    lines = (
        f"{min(SHOWN, compared)} of {compared:,} samples, the nearest to the reference first",
        "each: the sample, its nearest picture by pixels (RMS, grey levels), its nearest by features",
        f"reference to itself: pixels {nearest.pixels.median:.1f} (1% below {nearest.pixels.lowest:.1f}), "
        f"features {nearest.features.median:.3g} (1% below {nearest.features.lowest:.3g})",
    )
    for i, line in enumerate(lines):
        font = ImageFont.load_default(16 if i == 0 else 12)
        draw.text((MARGIN_PX, 12 + (0, 26, 46)[i]), line, fill=INK if i == 0 else FAINT, font=font)


def _thumbnail(pictures: PictureSet, index: int) -> Image.Image:
    """A picture within a square, small ones enlarged without smoothing."""
    pixels = np.ascontiguousarray(picture(pictures, index).transpose(1, 2, 0))
    image = Image.fromarray(pixels)
    scale = PICTURE_PX / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    smooth = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    square = Image.new("RGB", (PICTURE_PX, PICTURE_PX), "#eef0f3")
    square.paste(image.resize((size[0], size[1]), smooth), ((PICTURE_PX - size[0]) // 2, (PICTURE_PX - size[1]) // 2))
    return square
