"""The picture of Figures 5 and 6: a row a noise level, with the noised image, every estimate and the clean image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from legoc_runtime.sampling.pictures import to_uint8

PICTURE_PX = 112
"""Smaller pictures are enlarged to about this, without smoothing; larger ones stay as they are."""

GAP_PX, MARGIN_PX, LABEL_PX, HEAD_PX, FOOT_PX = 8, 24, 96, 78, 20
LONGEST_HEAD = 16
INK, FAINT = "#1f2430", "#667085"


@dataclass(frozen=True, slots=True)
class Row:
    """One noise level of one image.

    Attributes:
        label: the noise level in words.
        pictures: noised, each brick's estimate, clean: float32 [C, H, W] each, C 1 or 3.
        errors: of each estimate, of latents where pictures are decoded.
    """

    label: str
    pictures: tuple[Tensor, ...]
    errors: tuple[float, ...]


def refine_sheet(title: str, below: str, heads: Sequence[str], rows: Sequence[Row]) -> bytes:
    """A PNG. Under every estimate stands its root mean square error against the clean image.

    Args:
        title: what is shown.
        below: a line of small type under it.
        heads: what each column has; the first is noised, the last clean.
        rows: from most noise to least.
    """
    _, height, width = rows[0].pictures[0].shape
    scale = max(1, round(PICTURE_PX / max(height, width)))
    tall, wide = height * scale, width * scale
    column = max(wide, PICTURE_PX) + GAP_PX
    size = (
        max(2 * MARGIN_PX + LABEL_PX + len(heads) * column, 560),
        HEAD_PX + len(rows) * (tall + GAP_PX + FOOT_PX) + MARGIN_PX,
    )
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    small = ImageFont.load_default(12)
    draw.text((MARGIN_PX, 12), title, fill=INK, font=ImageFont.load_default(16))
    draw.text((MARGIN_PX, 34), below, fill=FAINT, font=small)
    for j, head in enumerate(heads):
        draw.text((MARGIN_PX + LABEL_PX + j * column, HEAD_PX - 20), _cut(head), fill=INK, font=small)
    for i, row in enumerate(rows):
        top = HEAD_PX + i * (tall + GAP_PX + FOOT_PX)
        draw.text((MARGIN_PX, top + tall // 2 - 8), row.label, fill=INK, font=small)
        for j, picture in enumerate(row.pictures):
            left = MARGIN_PX + LABEL_PX + j * column
            sheet.paste(_enlarged(picture, (wide, tall)), (left, top))
            if 0 < j <= len(row.errors):
                draw.text((left, top + tall + 2), f"error {row.errors[j - 1]:.3f}", fill=FAINT, font=small)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_HEAD else text[: LONGEST_HEAD - 1] + "…"


def _enlarged(picture: Tensor, size: tuple[int, int]) -> Image.Image:
    """A picture [C, H, W] in [-1, 1], clipped."""
    pixels = to_uint8(picture[None])[0]
    colour = np.ascontiguousarray(np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0))
    return Image.fromarray(colour).resize(size, Image.Resampling.NEAREST)
