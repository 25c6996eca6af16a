"""A first spec for a set of images: sizes that fit its grid, constants measured on it, comments that explain.

takes: a zip or folder of images, or nothing
gives: `ImageFacts`, the text of a spec that checks without a warning
may import: `legoc.spec`, `legoc_runtime.data`; never torch
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from pathlib import Path

from legoc.spec.canonical import quoted

SAMPLE_IMAGES = 1000
"""Images that sigma_data is measured on, evenly spread over the set."""

MIN_TOKENS, MAX_TOKENS = 16, 1024
"""Tokens of an image-brick: fewer see no picture, and the cost of attention grows with the square of more."""

FLAT_SIGMA = 0.02
"""Standard deviation below which images are almost of one colour: two or three of 256 levels."""

SMALL_GRID = 32 * 32


@dataclass(frozen=True)
class ImageFacts:
    """What a spec needs to know of images.

    Attributes:
        name: a name for the stack.
        height: rows.
        width: columns.
        channels: 3 or 1.
        classes: number of classes, or None.
        sigma_data: standard deviation of their values in [-1, 1].
        path: where they are, or None.
        about: one line on them.
        of: what `sigma_data` is the standard deviation of.
        vae: name of the VAE that made them, where they are latents.
    """

    name: str = "first"
    height: int = 32
    width: int = 32
    channels: int = 3
    classes: int | None = None
    sigma_data: float = 0.5
    path: str | None = None
    about: str = "no images were given: 32x32 RGB is assumed"
    of: str = "the images in [-1, 1]"
    vae: str | None = None


@dataclass(frozen=True)
class _Brick:
    id: str
    size: str
    receptive_field: int
    depth: int
    comment: str


def measure(path: Path) -> ImageFacts:
    """Read what a spec needs off a set of images.

    Raises:
        UsageError: there is no such set.
        RunError: an image of it cannot be read.
    """
    from legoc_runtime.data import LatentDataset, open_dataset  # pillow and numpy, for this alone

    dataset = open_dataset(path)
    what = "latents" if isinstance(dataset, LatentDataset) else "images"
    values = dataset.spread(SAMPLE_IMAGES).astype("float64")
    # pictures of one colour have none: any small number keeps the preconditioning finite
    sigma = max(round(float(values.std()), 3), 0.001)
    labels = [label for i in range(len(dataset)) if (label := dataset.label(i)) is not None]
    return ImageFacts(
        name=_name(path),
        height=dataset.height,
        width=dataset.width,
        channels=dataset.channels,
        classes=max(labels) + 1 if dataset.labelled else None,
        sigma_data=sigma,
        path=path.as_posix(),
        about=f"sigma_data was measured on {len(values):,} of {len(dataset):,} {what}",
        of="the latents as they are scaled" if what == "latents" else ImageFacts.of,
        vae=dataset.index.encoder.name if isinstance(dataset, LatentDataset) else None,
    )


def starter_spec(facts: ImageFacts) -> str:
    """The text of a first spec: progressive growth, which ends with the image-brick (paper, section 3.2)."""
    bricks = _bricks(facts.height, facts.width)
    small = facts.height * facts.width <= SMALL_GRID
    return "\n".join(_lines(facts, bricks, width=192 if small else 384)) + "\n"


def _lines(facts: ImageFacts, bricks: list[_Brick], width: int) -> Iterator[str]:
    yield f"# A first stack, written by `legoc init`; {facts.about}."
    yield "#"
    yield "#   legoc check FILE      every problem of this file"
    yield "#   legoc cost FILE       what it costs, brick by brick"
    data = " --data FOLDER" if facts.path is None else ""
    yield f"#   legoc build FILE && legoc train{data} && legoc sample"
    yield "legoc: 1"
    yield f"name: {facts.name}"
    yield ""
    yield f"grid: {{height: {facts.height}, width: {facts.width}, channels: {facts.channels}}}"
    if facts.classes is None:
        yield "conditioning: {classes: null}   # unconditional; with labels, their number"
    else:
        dropped = "a tenth of the labels is dropped, so that guidance works"
        yield f"conditioning: {{classes: {facts.classes}, label_dropout: 0.1}}   # {dropped}"
    yield f"diffusion: {{kind: edm, sigma_data: {facts.sigma_data:g}}}   # standard deviation of {facts.of}"
    yield ""
    yield "brick_defaults:"
    yield f"  width: {width}   # features of a token: the stack's size grows with its square"
    yield "  heads: 6"
    if len(bricks) > 1:
        yield "  train_patches: 0.75   # a step trains three quarters of a patch-brick's windows"
    yield ""
    yield from _brick_lines(bricks, facts.height * facts.width <= SMALL_GRID)
    if len(bricks) > 1:
        yield ""
        yield "# `legoc sample --skip-policy late`; `halfway` is always there, and so is `none`"
        yield "skip_policies:"
        yield '  late: {image: "sigma < 0.3"}   # once the noise is low, the small windows finish the picture'
    yield ""
    path = "data: {path: FOLDER_OR_ZIP}" if facts.path is None else f"data: {{path: {quoted(facts.path)}}}"
    yield f"# {path}" if facts.path is None else path
    yield "train: {batch: 128, images: 4M, optimizer: {name: adamw, lr: 3e-4}, ema: [0.999]}"
    guidance = "" if facts.classes is None else ", guidance: 2"
    if facts.vae is not None:
        yield f"# `decoder: FOLDER` in it, the VAE that made the latents ({facts.vae[:40]!a}), makes pictures of them"
    yield f"sample: {{sampler: heun, steps: 18{guidance}}}"


def _brick_lines(bricks: list[_Brick], small: bool) -> Iterator[str]:
    yield "# Bottom to top. A brick cuts the grid into windows of `size`, those into tokens of `receptive_field`,"
    yield "# and refines the estimate from below."
    if len(bricks) == 1:
        yield "# This grid has no smaller windows, so that one brick has all the depth."
    elif small:
        yield "# Depth grows with the window; these depths are ours, measured against no others."
        yield "# How to divide depth over bricks is the subject of the paper's Appendix D.2."
    else:
        yield "# Depth grows with the window, as in the paper's LEGO-S (Table 5: 2, 4 and 6 blocks)."
        yield "# How to divide depth over bricks is the subject of its Appendix D.2."
    yield "bricks:"
    for brick in bricks:
        keys = f"id: {brick.id}, size: {brick.size}, receptive_field: {brick.receptive_field}, depth: {brick.depth}"
        yield f"  - {{{keys}}}   # {brick.comment}"


def _bricks(height: int, width: int) -> list[_Brick]:
    """Windows of about 4 and about 16 pixels where the grid has them, then the image; tokens of half a window."""
    common = gcd(height, width)
    sides = [side for side in range(4, common + 1) if common % side == 0 and side % 2 == 0]
    sides = [side for side in sides if side < max(height, width) // 2 + 1 and side <= 32]
    chosen: list[int] = []
    if sides:
        chosen.append(sides[0])
        if larger := [side for side in sides if side >= 2 * sides[0]]:
            chosen.append(min(larger, key=lambda side: abs(side - 4 * sides[0])))
    small = height * width <= SMALL_GRID
    depths = (2, 3, 5) if small else (2, 4, 6)
    bricks = [
        _Brick(id, str(side), side // 2, depth, f"{height * width // side**2} windows of 4 tokens: {what}")
        for id, side, depth, what in zip(
            ("windows", "parts"), chosen, depths, ("texture and edges", "parts of things"), strict=False
        )
    ]
    field = _image_field(height, width)
    tokens = height * width // field**2
    what = "how it all fits together" if tokens <= MAX_TOKENS else "slow; resize the images to sides that 2 or 4 divide"
    bricks.append(_Brick("image", "image", field, depths[2], f"1 window of {tokens} tokens: {what}"))
    return bricks


def _image_field(height: int, width: int) -> int:
    """The smallest token of 2 pixels or more that leaves a sensible number of tokens; 1 where none does."""
    common = gcd(height, width)
    fits = [side for side in range(2, common + 1) if common % side == 0]
    return next((side for side in fits if MIN_TOKENS <= height * width // side**2 <= MAX_TOKENS), 1)


def _name(path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", path.resolve().stem).strip("._-")[:64]
    return name if name and re.match(r"[A-Za-z]", name) else f"stack_{name}".rstrip("_")[:64]
