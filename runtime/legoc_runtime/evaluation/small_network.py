"""A small convolutional classifier whose features stand in for Inception's: described by data, weights in safetensors.

A folder with `extractor.json` and `weights.safetensors` is an extractor; `examples/extractor/train.py` makes one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.evaluation.extractor import INCEPTION, Features

EXTRACTOR_VERSION = 1
SHAPE_NAME = "extractor.json"
WEIGHTS_NAME = "weights.safetensors"

MAX_WIDTH = 4096
MAX_STAGES = 8
MAX_SHAPE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What a network is made of.

    Attributes:
        name: of the extractor, as every number made with it says.
        size: pixels a side that images are resized to; divided by 2 after every stage but the last.
        widths: channels of each stage of two 3x3 convolutions; the last is the number of features.
        spatial_stage: stage whose output, before it is halved, gives the spatial features.
        spatial_channels: its first channels are taken (sFID takes seven of Inception's).
        classes: names of the classes.
    """

    name: str
    size: int
    widths: tuple[int, ...]
    spatial_stage: int
    spatial_channels: int
    classes: tuple[str, ...]

    def to_json(self) -> str:
        """The text of `extractor.json`."""
        return json.dumps({"extractor_version": EXTRACTOR_VERSION, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"


class SmallNetwork(nn.Module):
    """The network: stages of two convolutions with ReLU, an average pool by 2 between them, a mean over the plane.

    Attributes:
        shape: what it is made of.
        convolutions: bottom to top, two a stage.
        classify: from features to logits.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        widths = [3, *(width for width in shape.widths for _ in range(2))]
        pairs = pairwise(widths)
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs)
        self.classify = nn.Linear(shape.widths[-1], len(shape.classes))

    @property
    def dimensions(self) -> int:
        """Features of an image."""
        return self.shape.widths[-1]

    def prepare(self, images: Tensor) -> Tensor:
        """Pictures uint8 [N,3,H,W] as float32 [N,3,size,size] in [-1, 1], resized with antialiasing."""
        scaled = images.float() / 127.5 - 1
        side = (self.shape.size, self.shape.size)
        if images.shape[-2:] == side:
            return scaled
        return functional.interpolate(scaled, size=side, mode="bilinear", antialias=True, align_corners=False)

    def forward(self, images: Tensor) -> Features:
        """Features of pictures uint8 [N,3,H,W]."""
        x, spatial = self.prepare(images), None
        for stage in range(len(self.shape.widths)):
            if stage:
                x = functional.avg_pool2d(x, 2)
            for convolution in self.convolutions[2 * stage : 2 * stage + 2]:
                x = functional.relu(convolution(x))
            if stage == self.shape.spatial_stage:
                spatial = x[:, : self.shape.spatial_channels].permute(0, 2, 3, 1).flatten(1)
        assert spatial is not None, "read_shape checks the stage"
        pooled = x.mean(dim=(2, 3))
        return Features(pooled, spatial, self.classify(pooled))


@dataclass(frozen=True, slots=True)
class SmallExtractor:
    """A `SmallNetwork` with its weights, as an `Extractor`.

    Attributes:
        name: of the folder's `extractor.json`.
        fingerprint: SHA-256 over both files.
        network: in evaluation mode, on its device.
        device: where it runs.
    """

    name: str
    fingerprint: str
    network: SmallNetwork
    device: torch.device

    @property
    def dimensions(self) -> int:
        """Features of an image."""
        return self.network.dimensions

    def describe(self) -> str:
        """A line for people."""
        shape = self.network.shape
        return f"{self.name}, {self.dimensions} features at {shape.size}x{shape.size}, {len(shape.classes)} classes"

    def __call__(self, images: Tensor) -> Features:
        """Features of pictures uint8 [N,3,H,W], on the CPU."""
        with torch.inference_mode():
            return self.network(images.to(self.device)).cpu()


def load_small_extractor(directory: Path, device: torch.device) -> SmallExtractor:
    """The extractor in a folder.

    Raises:
        UsageError: the folder holds none.
        RunError: its files cannot be read, or do not belong together.
    """
    shape_file, weights_file = directory / SHAPE_NAME, directory / WEIGHTS_NAME
    for file in (shape_file, weights_file):
        if not file.is_file():
            raise UsageError(
                f"{directory} is no extractor: it has no {file.name}",
                help="give --features emoji, inception, or a folder that examples/extractor/train.py made",
            )
    try:
        text, weights = shape_file.read_bytes(), weights_file.read_bytes()
    except OSError as error:
        raise RunError(f"{directory} cannot be read: {error}") from error
    network = SmallNetwork(read_shape(text, str(shape_file)))
    network.load_state_dict(_tensors(weights_file, network.state_dict()))
    network.eval().requires_grad_(False).to(device)
    digest = hashlib.sha256(text + b"\0" + weights).hexdigest()
    return SmallExtractor(network.shape.name, digest, network, device)


def read_shape(text: bytes, where: str) -> NetworkShape:
    """The shape that an `extractor.json` says.

    Args:
        text: its bytes.
        where: how errors call it.

    Raises:
        RunError: it is not of the form.
    """
    try:
        found = cast("dict[str, Any]", json.loads(text[:MAX_SHAPE_BYTES]))
        if found.pop("extractor_version") != EXTRACTOR_VERSION:
            raise ValueError(f"expected version {EXTRACTOR_VERSION}")
        shape = NetworkShape(
            name=found.pop("name"),
            size=found.pop("size"),
            widths=tuple(found.pop("widths")),
            spatial_stage=found.pop("spatial_stage"),
            spatial_channels=found.pop("spatial_channels"),
            classes=tuple(found.pop("classes")),
        )
        if found:
            raise ValueError(f"unknown keys {', '.join(found)}")
        _check(shape)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RunError(f"{where} describes no extractor: {error}", help="make the extractor again") from error
    return shape


def _check(shape: NetworkShape) -> None:
    sizes = (shape.size, shape.spatial_stage, shape.spatial_channels, *shape.widths)
    if not all(type(number) is int for number in sizes):
        raise TypeError("a size that is no whole number")
    if not (1 <= len(shape.widths) <= MAX_STAGES and all(1 <= width <= MAX_WIDTH for width in shape.widths)):
        raise ValueError(f"1 to {MAX_STAGES} widths from 1 to {MAX_WIDTH} are read")
    if not 0 <= shape.spatial_stage < len(shape.widths):
        raise ValueError(f"there is no stage {shape.spatial_stage}")
    if not 1 <= shape.spatial_channels <= shape.widths[shape.spatial_stage]:
        raise ValueError(f"{shape.spatial_channels} spatial channels of {shape.widths[shape.spatial_stage]}")
    if not 2 ** (len(shape.widths) - 1) <= shape.size <= 1024:
        raise ValueError(f"size {shape.size} cannot be halved {len(shape.widths) - 1} times")
    texts = cast("tuple[object, ...]", (shape.name, *shape.classes))
    if not shape.name or not all(isinstance(text, str) for text in texts):
        raise TypeError("a name that is no text")
    if shape.name == INCEPTION:
        raise ValueError(f"the name {INCEPTION} belongs to torch-fidelity's network")
    if not 2 <= len(shape.classes) <= 100_000:
        raise ValueError("at least two classes are needed")


def _tensors(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, which must be exactly those wanted."""
    found = {name: tensor.float() for name, tensor in tensorfile.load(path).items()}
    expected = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    if {name: tuple(tensor.shape) for name, tensor in found.items()} != expected:
        raise RunError(f"{path} does not hold the weights that {SHAPE_NAME} describes", help="make the extractor again")
    return found
