"""Small image sets for tests."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Image.Image:
    """A picture of noise; `size` is height and width."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def write_zip(path: Path, members: Mapping[str, bytes], labels: object = None) -> Path:
    """A zip of members, with a `dataset.json` when `labels` is not None."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
        if labels is not None:
            file.writestr("dataset.json", json.dumps({"labels": labels}))
    return path


def labelled_zip(path: Path, count: int = 10, classes: int = 3, size: tuple[int, int] = (8, 8)) -> Path:
    """A zip of `count` pictures of noise, whose classes go round."""
    names: Sequence[str] = [f"{i:05d}.png" for i in range(count)]
    members = {name: encoded(picture(i, size)) for i, name in enumerate(names)}
    return write_zip(path, members, [[name, i % classes] for i, name in enumerate(names)])
