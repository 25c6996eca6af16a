"""One picture that lays sets of samples side by side: the same seeds, another skip policy each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from legoc.draw.timeline import Timeline, make_timeline, sigma_text
from legoc_runtime.contract.manifest import Manifest, read_manifest
from legoc_runtime.contract.policy import tabulate
from legoc_runtime.contract.schedule import edm_levels, heun_evaluations

MARGIN, GAP, SCALE = 28, 36, 3
PAGE, INK, FAINT, RUNS, BREAK = "#ffffff", "#1f2430", "#5a6472", "#3867c8", "#c2410c"
ROW = 24
TITLE, BODY = ImageFont.load_default(22), ImageFont.load_default(15)


def policy_sheet(run: Path, sets: Mapping[str, Path]) -> Image.Image:
    """Draw the sets.

    Args:
        run: the run, or the build, that was sampled.
        sets: policy -> directory of its samples, all of the same seeds and settings.

    Returns:
        an RGB picture: for each policy its grid, its timeline, and what it saved.
    """
    manifest = read_manifest(run)
    records = {policy: json.loads((path / "samples.json").read_text("utf-8")) for policy, path in sets.items()}
    grids = [_grid(path, records[policy]) for policy, path in sets.items()]
    width = max(grids[0].width, 330)
    names = 8 * max(len(id) for id in manifest.shape.ids) + 12
    top = MARGIN + 62
    height = top + 34 + grids[0].height + 20 + len(manifest.shape.ids) * ROW + 100 + MARGIN
    sheet = Image.new("RGB", (2 * MARGIN + names + len(grids) * (width + GAP) - GAP, height), PAGE)
    draw = ImageDraw.Draw(sheet)
    _head(draw, manifest, next(iter(records.values())), len(sets))
    for i, (policy, record) in enumerate(records.items()):
        left = MARGIN + names + i * (width + GAP)
        draw.text((left, top), f"policy {policy}", INK, TITLE)
        sheet.paste(grids[i], (left, top + 34))
        below = top + 34 + grids[i].height + 20
        timeline = _timeline(manifest, policy, record)
        _strip(draw, timeline, left, below, width, names=MARGIN if i == 0 else None)
        _result(draw, timeline, record, left, below + len(timeline.rows) * ROW + 10)
    return sheet


def _grid(directory: Path, record: Mapping[str, Any]) -> Image.Image:
    """The pictures of a set in a square, enlarged pixel by pixel."""
    pictures: list[Image.Image] = []
    for entry in record["pictures"]:
        with Image.open(directory / entry["file"]) as picture:
            size = (picture.width * SCALE, picture.height * SCALE)
            pictures.append(picture.convert("RGB").resize(size, Image.Resampling.NEAREST))
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    step_x, step_y = pictures[0].width + 4, pictures[0].height + 4
    grid = Image.new("RGB", (columns * step_x - 4, rows * step_y - 4), "#d7dce4")
    for i, picture in enumerate(pictures):
        grid.paste(picture, (i % columns * step_x, i // columns * step_y))
    return grid


def _head(draw: ImageDraw.ImageDraw, manifest: Manifest, record: Mapping[str, Any], policies: int) -> None:
    source, settings = record["source"], record["request"]["settings"]
    draw.text((MARGIN, MARGIN - 6), f"The same seeds under {policies} skip policies", INK, ImageFont.load_default(28))
    words = (
        f"{manifest.name}, {source['kind']} after {source['images']:,} training images; "
        f"{settings['steps']} Heun steps, guidance {settings['guidance']:g}; noise falls from left to right"
    )
    draw.text((MARGIN, MARGIN + 30), words, FAINT, BODY)


def _timeline(manifest: Manifest, policy: str, record: Mapping[str, Any]) -> Timeline:
    settings = record["request"]["settings"]
    guided = settings["guidance"] != 1
    levels = edm_levels(settings["steps"], manifest.shape.diffusion, guided=guided)
    table = tabulate(manifest.policy(policy), manifest.shape.ids, levels)
    return make_timeline(manifest.name, manifest.shape, table, heun_evaluations(settings["steps"]))


def _strip(
    draw: ImageDraw.ImageDraw, timeline: Timeline, left: int, top: int, width: int, *, names: int | None
) -> None:
    """One row a brick, the top brick first: filled where it runs, outlined where it is left out."""
    steps = len(timeline.levels)
    for i, row in enumerate(reversed(timeline.rows)):
        y = top + i * ROW
        if names is not None:
            draw.text((names, y), row.brick, INK, BODY)
        for step, runs in enumerate(row.runs):
            box = (left + step * width // steps, y, left + (step + 1) * width // steps - 2, y + ROW - 6)
            draw.rectangle(box, fill=RUNS if runs else None, outline=RUNS if runs else "#b3bbc8")
    for found in timeline.breaks:
        x = left + found.step * width // steps - 2
        draw.line((x, top - 6, x, top + len(timeline.rows) * ROW), BREAK, 2)


def _result(draw: ImageDraw.ImageDraw, timeline: Timeline, record: Mapping[str, Any], left: int, top: int) -> None:
    timing = record["timing"]
    breaks = [
        f"{found.brick} {'on' if found.runs else 'off'} from sigma {sigma_text(found.sigma)}"
        for found in timeline.breaks
    ]
    draw.text((left, top), "; ".join(breaks) or "every brick at every step", BREAK if breaks else FAINT, BODY)
    saved = f"saved {timing['macs_saved']:.1%} of MACs, {timing['time_saved']:.1%} of time" if breaks else "yardstick"
    draw.text((left, top + 24), saved, INK, BODY)
    pace = timing["images_per_second"]
    draw.text((left, top + 48), f"{timing['seconds']:.1f} s, {pace:.3g} images a second", FAINT, BODY)
