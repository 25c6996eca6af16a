"""An image set: what it holds, checked before anything is trained on it, and its pixels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data import pictures
from legoc_runtime.data.sources import ImageSource, open_source
from legoc_runtime.errors import RunError, UsageError

MAX_DECODED_BYTES = 2**30
"""Sets up to this many bytes of pixels are decoded once and kept; larger ones are decoded as they are met."""

MAX_HEADERS = 200_000
"""So many headers are read when a set is opened; in a larger set the others are checked as they are met."""


class ImageDataset:
    """Images of one size, labelled or not.

    Attributes:
        channels: 3 (RGB), or 1 where every image is gray.
        height: rows of every image.
        width: columns of every image.
    """

    def __init__(self, source: ImageSource) -> None:
        """Read and check the headers of a source.

        Raises:
            RunError: an image cannot be read, or is not of the size of the first one.
        """
        self._source = source
        headers = [self._header(i) for i in range(min(len(source.names), MAX_HEADERS))]
        self.height, self.width = headers[0].height, headers[0].width
        for i, header in enumerate(headers):
            pictures.check_size(header, source.where(i), self.height, self.width)
        self.channels = 1 if all(header.gray for header in headers) else 3

    def __len__(self) -> int:
        return len(self._source.names)

    @property
    def path(self) -> Path:
        """The zip or the folder."""
        return self._source.path

    @property
    def labelled(self) -> bool:
        """Whether every image has a class."""
        return self._source.labels.classes is not None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, or None where there are none or the set does not tell."""
        return self._source.labels.names

    def name(self, index: int) -> str:
        """The name of an image inside the set."""
        return self._source.names[index]

    def label(self, index: int) -> int | None:
        """The class of an image, or None in a set without labels."""
        classes = self._source.labels.classes
        return None if classes is None else classes[index]

    def image(self, index: int) -> NDArray[np.uint8]:
        """One image, uint8 [channels, height, width]. Raises RunError when it does not decode."""
        if self._decoded is not None:
            return self._decoded[index]
        return self._decode(index)

    def images(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Several images, uint8 [N, channels, height, width]. Raises RunError when one does not decode."""
        if self._decoded is not None:
            return self._decoded[np.asarray(indices, dtype=np.int64)]
        return np.stack(list(self._pool.map(self._decode, indices)))

    def spread(self, count: int) -> NDArray[np.uint8]:
        """At most `count` images, evenly spread over the set, uint8 [N, channels, height, width].

        No others are decoded.

        Raises:
            RunError: one of them does not decode.
        """
        indices = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int)).tolist()
        return np.stack(list(self._pool.map(self._decode, indices)))

    def describe(self) -> str:
        """One line for people."""
        kind = "RGB" if self.channels == 3 else "gray"
        labels = self._source.labels
        if labels.classes is None:
            classes = f"no labels ({labels.why_absent})"
        else:
            classes = f"{len(set(labels.classes))} classes"
        return f"{self.path}: {len(self):,} {kind} images of {self.height}x{self.width}, {classes}"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over names and labels: tells whether a run goes on with the images it began with."""
        digest = hashlib.sha256()
        for i in range(len(self)):
            digest.update(f"{self.name(i)}\0{self.label(i)}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def check_fits(self, shape: StackShape) -> None:
        """Whether a stack can train on this set.

        Raises:
            UsageError: channels or size differ from the stack's, labels are missing, or one is out of range.
        """
        if self.channels != shape.channels and shape.channels > 3:
            raise UsageError(
                f"{self.path} has images of {self.channels} channels, the stack has {shape.channels}: it works on "
                "latents, which this version cannot train on yet",
                help=f"train a stack on pixels, such as one with `channels: {self.channels}`",
            )
        if (self.height, self.width) != shape.grid:
            height, width = shape.grid
            raise UsageError(
                f"{self.path} has images of {self.height}x{self.width}, the stack works on {height}x{width}",
                help=f"resize them, or give the spec `grid: {{height: {self.height}, width: {self.width}}}`",
            )
        if self.channels != shape.channels:
            raise UsageError(
                f"{self.path} has images of {self.channels} channels, the stack has {shape.channels}",
                help=f"give the spec `channels: {self.channels}`, or convert the images",
            )
        if shape.classes is not None:
            self._check_labels(shape.classes)

    def _check_labels(self, classes: int) -> None:
        labels = self._source.labels
        if labels.classes is None:
            raise UsageError(
                f"the stack has {classes} classes and {self.path} has no labels: {labels.why_absent}",
                help="give the spec `conditioning: {classes: null}`, or label the images",
            )
        highest = max(labels.classes)
        if highest >= classes:
            first = next(i for i, label in enumerate(labels.classes) if label >= classes)
            raise UsageError(
                f"{self._source.where(first)} is of class {labels.classes[first]}, "
                f"the stack has classes 0 to {classes - 1}",
                help=f"give the spec `conditioning: {{classes: {highest + 1}}}`, or mend the labels",
            )

    def _header(self, index: int) -> pictures.Header:
        where = self._source.where(index)
        with pictures.naming(where), self._source.open(index) as file:
            return pictures.read_header(cast("BinaryIO", file), where)

    def _decode(self, index: int) -> NDArray[np.uint8]:
        where = self._source.where(index)
        with pictures.naming(where), self._source.open(index) as file:
            return pictures.decode(
                cast("BinaryIO", file), where, channels=self.channels, height=self.height, width=self.width
            )

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(min(16, os.cpu_count() or 1), thread_name_prefix="decode")

    @cached_property
    def _decoded(self) -> NDArray[np.uint8] | None:
        """All pixels, uint8 [n, channels, height, width], or None where they would take too much memory."""
        shape = (len(self), self.channels, self.height, self.width)
        if int(np.prod(shape, dtype=np.int64)) > MAX_DECODED_BYTES:
            return None
        pixels = np.empty(shape, dtype=np.uint8)
        for i, image in enumerate(self._pool.map(self._decode, range(len(self)))):
            pixels[i] = image
        return pixels


def open_dataset(path: str | Path) -> ImageDataset:
    """Open a .zip of images with `dataset.json` (StyleGAN, EDM), a folder of class folders, or a flat folder.

    Every header and every label is read and checked here (the first 200,000 headers of a larger set).

    Raises:
        UsageError: there is no such set.
        RunError: a file of it cannot be read, or is not like the others; the message names it.
    """
    source = open_source(Path(path).expanduser())
    try:
        return ImageDataset(source)
    except OSError as error:
        raise RunError(f"{source.path} cannot be read: {error}") from error
