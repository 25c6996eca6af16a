"""A set of pictures: what it holds, checked before anything is trained on it, and its pixels."""

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

from legoc_runtime.contract.settings import Resize
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data import pictures
from legoc_runtime.data.open_source import open_source
from legoc_runtime.data.resize import Size, check_rule, check_source_size
from legoc_runtime.data.sources import ImageSource
from legoc_runtime.data.training_set import TrainingSet, mirrored, spread_indices
from legoc_runtime.errors import RunError, UsageError

MAX_DECODED_BYTES = 2**30
"""Sets up to this many bytes of pixels are decoded once and kept; larger ones are decoded as they are met."""

MAX_HEADERS = 200_000
"""So many headers are read when a set is opened; in a larger set the others are checked as they are met."""


class ImageDataset(TrainingSet):
    """Images of one size, labelled or not.

    Attributes:
        channels: 3 (RGB), or 1 where every image is gray.
        height: rows of every image.
        width: columns of every image.
        resize: the rule that images of other sizes come to this one by.
    """

    def __init__(self, source: ImageSource, resize: Resize = "none", size: Size | None = None) -> None:
        """Read and check the headers of a source.

        Args:
            source: the encoded images.
            resize: how they come to `size`; `none` where they have one size.
            size: height and width, for every rule but `none`.

        Raises:
            RunError: an image cannot be read, or is not of the size of the first one where nothing is resized.
            UsageError: the rule cannot make images of that size.
        """
        check_rule(resize, size)
        self._source = source
        self.path, self.labels = source.path, source.labels
        self.resize: Resize = resize
        headers = [self._header(i) for i in range(min(len(source.names), MAX_HEADERS))]
        first = (headers[0].height, headers[0].width)
        self.height, self.width = first if resize == "none" or size is None else size
        for i, header in enumerate(headers):
            pictures.check_size(header, source.where(i), self.height, self.width, resize)
        self.channels = 1 if all(header.gray for header in headers) else 3

    def __len__(self) -> int:
        return len(self._source.names)

    def name(self, index: int) -> str:
        """The name of an image inside the set."""
        return self._source.names[index]

    def where(self, index: int) -> str:
        """How errors call an image."""
        return self._source.where(index)

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

    def clean(self, indices: Sequence[int], positions: Sequence[int], seed: int, *, flip: bool) -> NDArray[np.float32]:
        """Images in [-1, 1], float32 [N, channels, height, width]. Raises RunError when one does not decode."""
        found = _as_values(self.images(indices))
        if flip:
            for row, position in enumerate(positions):
                if mirrored(seed, position):
                    found[row] = found[row, :, :, ::-1].copy()
        return found

    def spread(self, count: int) -> NDArray[np.float32]:
        """At most `count` images in [-1, 1], evenly spread over the set, float32 [N, channels, height, width].

        No others are decoded.

        Raises:
            RunError: one of them does not decode.
        """
        return _as_values(np.stack(list(self._pool.map(self._decode, spread_indices(len(self), count)))))

    def describe(self) -> str:
        """One line for people."""
        kind = "RGB" if self.channels == 3 else "gray"
        rule = "" if self.resize == "none" else f" (resized: {self.resize})"
        return f"{self.path}: {len(self):,} {kind} images of {self.height}x{self.width}{rule}, {self.labels_in_words()}"

    def compute_fingerprint(self) -> str:
        """SHA-256 over names, labels and what becomes of them: whether a run goes on with the images it began with."""
        digest = hashlib.sha256()
        if self.resize != "none":
            digest.update(f"{self.resize} {self.height}x{self.width}\n".encode())
        for i in range(len(self)):
            digest.update(f"{self.name(i)}\0{self.label(i)}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def check_grid(self, shape: StackShape) -> None:
        """Whether images are of the stack's channels, height and width. Raises UsageError."""
        if self.channels != shape.channels and shape.channels > 3:
            raise UsageError(
                f"{self.path} has images of {self.channels} channels, the stack has {shape.channels}: it works on "
                "latents",
                help="make latents of the images with `legoc data encode`, or train a stack on pixels, such as one "
                f"with `channels: {self.channels}`",
            )
        if (self.height, self.width) != shape.grid:
            height, width = shape.grid
            raise UsageError(
                f"{self.path} has images of {self.height}x{self.width}, the stack works on {height}x{width}",
                help="give the spec `data: {resize: adm}`, which resizes and crops them, or "
                f"`grid: {{height: {self.height}, width: {self.width}}}`",
            )
        if self.channels != shape.channels:
            raise UsageError(
                f"{self.path} has images of {self.channels} channels, the stack has {shape.channels}",
                help=f"give the spec `channels: {self.channels}`, or convert the images",
            )

    def check_flips(self) -> None:
        """Every image has a mirror image."""

    def _header(self, index: int) -> pictures.Header:
        where = self._source.where(index)
        with pictures.naming(where), self._source.open(index) as file:
            header = pictures.read_header(cast("BinaryIO", file), where)
        check_source_size(self.resize, (header.height, header.width), where)
        return header

    def _decode(self, index: int) -> NDArray[np.uint8]:
        where = self._source.where(index)
        with pictures.naming(where), self._source.open(index) as file:
            return pictures.decode(
                cast("BinaryIO", file),
                where,
                channels=self.channels,
                height=self.height,
                width=self.width,
                resize=self.resize,
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


def _as_values(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def open_images(path: Path, *, resize: Resize = "none", size: Size | None = None) -> ImageDataset:
    """Open a set of images, of any form that `open_source` knows.

    Every header and every label is read and checked here (the first 200,000 headers of a larger set).

    Raises:
        UsageError: there is no such set, or the rule cannot make images of that size.
        RunError: a file of it cannot be read, or is not like the others; the message names it.
    """
    source = open_source(path)
    try:
        return ImageDataset(source, resize, size)
    except OSError as error:
        raise RunError(f"{source.path} cannot be read: {error}") from error
