"""Small sets of pictures and a small extractor with random weights, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.evaluation.small_network import (
    SHAPE_NAME,
    WEIGHTS_NAME,
    NetworkShape,
    SmallExtractor,
    SmallNetwork,
    load_small_extractor,
)

SHAPE = NetworkShape("tiny", 8, (6, 4), 1, 2, ("a", "b", "c"))


def pixels(count: int, seed: int = 0, size: tuple[int, int] = (8, 8)) -> NDArray[np.uint8]:
    """Pictures [N,3,H,W]: a colour each, and noise."""
    random = np.random.default_rng(seed)
    colours = random.uniform(40, 215, (count, 3, 1, 1))
    return np.clip(colours + random.normal(0, 20, (count, 3, *size)), 0, 255).astype(np.uint8)


def write_folder(directory: Path, pictures: NDArray[np.uint8]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture.transpose(1, 2, 0)).save(directory / f"{i:06d}.png")
    return directory


def write_samples(directory: Path, images: NDArray[np.uint8], **changes: Any) -> Path:
    """A folder as `legoc sample` leaves it: its record, and a grid that is no sample."""
    write_folder(directory, images)
    Image.new("RGB", (50, 50)).save(directory / "grid.png")
    files = [{"seed": i, "class": None, "file": f"{i:06d}.png"} for i in range(len(images))]
    record = {"samples_version": 1, "complete": True, "pictures": files} | changes
    (directory / "samples.json").write_text(json.dumps(record))
    return directory


def write_extractor(directory: Path, shape: NetworkShape = SHAPE) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    network = SmallNetwork(shape)
    # random weights say little of a picture, and their features are all alike: louder ones are told apart
    tensorfile.save(directory / WEIGHTS_NAME, {name: 4 * value for name, value in network.state_dict().items()}, {})
    (directory / SHAPE_NAME).write_text(shape.to_json())
    return directory


def tiny_extractor(directory: Path) -> SmallExtractor:
    return load_small_extractor(write_extractor(directory), torch.device("cpu"))
