"""The loss of a run over the images that it was trained on, as a picture."""

from __future__ import annotations

import json
import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIZE = (900, 460)
LEFT, TOP, RIGHT, BOTTOM = 80, 60, 24, 60
COLOURS = ("#1f2430", "#3867c8", "#c2410c", "#2e8b57", "#8a4fbf", "#b8860b")
AXIS, FAINT = "#98a2b3", "#e4e8ee"
BODY = ImageFont.load_default(15)


def loss_curve(metrics: Path) -> Image.Image:
    """Draw `metrics.jsonl`: the training loss and each brick's, on a logarithmic axis."""
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    images = [line["images"] for line in lines]
    curves = {"all bricks (mean)": [line["loss"] for line in lines]}
    for brick in lines[0]["loss_by_brick"]:
        curves[brick] = [line["loss_by_brick"][brick] for line in lines]
    values = [value for curve in curves.values() for value in curve]
    low, high = math.log(min(values) * 0.9), math.log(max(values) * 1.1)

    def place(image: float, value: float) -> tuple[float, float]:
        across = (image - images[0]) / max(images[-1] - images[0], 1)
        up = (math.log(value) - low) / (high - low)
        return LEFT + across * (SIZE[0] - LEFT - RIGHT), SIZE[1] - BOTTOM - up * (SIZE[1] - TOP - BOTTOM)

    picture = Image.new("RGB", SIZE, "#ffffff")
    draw = ImageDraw.Draw(picture)
    for value in _levels(math.exp(low), math.exp(high)):
        (x0, y), (x1, _) = place(images[0], value), place(images[-1], value)
        draw.line((x0, y, x1, y), FAINT)
        draw.text((LEFT - 10, y), f"{value:g}", COLOURS[0], BODY, anchor="rm")
    for i in range(5):
        image = images[0] + (images[-1] - images[0]) * i / 4
        x, y = place(image, math.exp(low))
        draw.line((x, y, x, y + 5), AXIS)
        draw.text((x, y + 10), f"{image:,.0f}", COLOURS[0], BODY, anchor="rt" if i == 4 else "mt")
    draw.line((*place(images[0], math.exp(low)), *place(images[-1], math.exp(low))), AXIS)
    draw.text((SIZE[0] / 2, SIZE[1] - 24), "images trained on", COLOURS[0], BODY, anchor="mt")
    draw.text((LEFT, 12), "training loss, EDM-weighted", COLOURS[0], ImageFont.load_default(20))
    left = LEFT
    for (name, curve), colour in zip(curves.items(), COLOURS * len(curves), strict=False):
        points = [place(image, value) for image, value in zip(images, curve, strict=True)]
        draw.line(points, colour, 3 if name.startswith("all") else 2, joint="curve")
        draw.text((left, 38), name, colour, BODY)
        left += int(draw.textlength(name, BODY)) + 24
    return picture


def _levels(low: float, high: float) -> list[float]:
    """Round values (1, 1.5, 2, 3, 5, 7 times a power of ten) between two bounds."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    round_values = (factor * 10.0**exponent for exponent in exponents for factor in (1, 1.5, 2, 3, 5, 7))
    return [value for value in round_values if low <= value <= high]
