"""Latents of images, as `legoc data encode` writes them: drawn anew every epoch from what the VAE says of an image.

Memory holds what is read; shards are mapped, not loaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data.labels import Labels
from legoc_runtime.data.latents_index import AGAIN, LATENTS_NAME, Shard, read_index
from legoc_runtime.data.training_set import TrainingSet, mirrored, spread_indices
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.randomness import Purpose, normal

_DTYPES = {"float32": "F32", "float16": "F16"}


class LatentDataset(TrainingSet):
    """Distributions of latents, one an image.

    Attributes:
        index: what `latents.json` says.
    """

    def __init__(self, path: Path) -> None:
        """Read the index, the header of every shard, and the labels.

        Raises:
            RunError: one of them is not as the index says.
        """
        self.path = path
        self.index = read_index(path)
        self.channels, self.height, self.width = self.index.channels, self.index.height, self.index.width
        self._files = [self._open(shard) for shard in self.index.shards]
        self._first = np.cumsum([0, *(shard.images for shard in self.index.shards)])
        self.labels = self._read_labels()

    def __len__(self) -> int:
        return self.index.images

    def name(self, index: int) -> str:
        """The shard of an example and its row there."""
        shard, row = self._place(index)
        return f"{self.index.shards[shard].file}[{row}]"

    def describe(self) -> str:
        """One line for people."""
        size = f"{self.channels}x{self.height}x{self.width}"
        source, vae = self.index.source, self.index.encoder.name
        return (
            f"{self.path}: {len(self):,} latents of {size}, of {source.height}x{source.width} images by {vae}, "
            f"{self.labels_in_words()}"
        )

    def compute_fingerprint(self) -> str:
        """SHA-256 over the checksums of all shards and how latents are scaled."""
        digest = hashlib.sha256()
        for shard in self.index.shards:
            digest.update(f"{shard.images} {shard.sha256}\n".encode())
        encoder = self.index.encoder
        digest.update(f"{encoder.scaling_factor!r} {encoder.shift_factor!r}\n".encode())
        return digest.hexdigest()

    def clean(self, indices: Sequence[int], positions: Sequence[int], seed: int, *, flip: bool) -> NDArray[np.float32]:
        """Latents, drawn and scaled, float32 [N, channels, height, width].

        Raises:
            RunError: a shard cannot be read, or holds what is no number.
        """

        def drawn(place: tuple[int, int]) -> NDArray[np.float32]:
            index, position = place
            noise = normal(seed, Purpose.LATENT, (self.channels, self.height, self.width), position)
            return self._scaled(index, noise, flipped=flip and mirrored(seed, position))

        return np.stack(list(self._pool.map(drawn, zip(indices, positions, strict=True))))

    def spread(self, count: int) -> NDArray[np.float32]:
        """At most `count` latents, evenly spread over the set, each drawn by its index. Raises RunError."""
        indices = spread_indices(len(self), count)
        return self.clean(indices, indices, 0, flip=False)

    def scaled_mean(self, index: int) -> NDArray[np.float32]:
        """The mean of a latent's distribution, scaled, float32 [channels, height, width]. Raises RunError."""
        nothing = np.zeros((self.channels, self.height, self.width), dtype=np.float32)
        return self._scaled(index, nothing, flipped=False)

    def shard_digest(self, shard: Shard) -> str:
        """SHA-256 of a shard as it is on the disk. Raises RunError when it cannot be read."""
        return file_digest([self.path / shard.file])

    def check_grid(self, shape: StackShape) -> None:
        """Whether latents are of the stack's channels, height and width. Raises UsageError."""
        own = (self.channels, self.height, self.width)
        stack = (shape.channels, *shape.grid)
        if own != stack:
            raise UsageError(
                f"{self.path} has latents of {own[0]}x{own[1]}x{own[2]}, the stack works on "
                f"{stack[0]}x{stack[1]}x{stack[2]}",
                help=f"give the spec `grid: {{height: {own[1]}, width: {own[2]}, channels: {own[0]}}}`, or encode "
                "images of another size",
            )

    def check_flips(self) -> None:
        """Whether mirror images were encoded: the mirror image of a latent is not the latent of the mirror image."""
        if not self.index.flipped:
            raise UsageError(
                f"{self.path} holds no latents of mirror images, and the spec says `train: {{flip: true}}`",
                help="encode the images with `legoc data encode --flip`, or train with `flip: false`",
            )

    def _scaled(self, index: int, noise: NDArray[np.float32], *, flipped: bool) -> NDArray[np.float32]:
        suffix = "_flipped" if flipped else ""
        mean, std = self._moment(index, f"mean{suffix}"), self._moment(index, f"std{suffix}")
        encoder = self.index.encoder
        scale, shift = np.float32(encoder.scaling_factor), np.float32(encoder.shift_factor)
        latent = ((mean + std * noise - shift) * scale).astype(np.float32, copy=False)
        if not np.isfinite(latent).all():
            raise RunError(f"{self.where(index)} is not finite", help=AGAIN)
        return latent

    def _moment(self, index: int, name: str) -> NDArray[np.float32]:
        shard, row = self._place(index)
        try:
            part: NDArray[Any] = self._files[shard].get_slice(name)[row]
        except (SafetensorError, OSError) as error:
            raise RunError(f"{self.where(index)} cannot be read: {error}", help=AGAIN) from error
        return part.astype(np.float32)

    def _place(self, index: int) -> tuple[int, int]:
        shard = int(np.searchsorted(self._first, index, side="right")) - 1
        return shard, index - int(self._first[shard])

    def _open(self, shard: Shard) -> Any:
        """A shard, mapped, whose header is as the index says."""
        path = self.path / shard.file
        shape = (shard.images, self.channels, self.height, self.width)
        try:
            file: Any = safe_open(path, framework="numpy")
            held = set(cast("Iterable[str]", file.keys()))
            for name in self._tensors():
                found = file.get_slice(name)
                expected = ((shard.images,), "I64") if name == "labels" else (shape, _DTYPES[self.index.dtype])
                if (tuple(found.get_shape()), found.get_dtype()) != expected:
                    raise RunError(f"{path}: `{name}` is not of the shape and type in {LATENTS_NAME}", help=AGAIN)
        except (SafetensorError, OSError) as error:
            raise RunError(f"{path} cannot be read: {error}", help=AGAIN) from error
        if unknown := held - set(self._tensors()):
            raise RunError(f"{path} holds `{min(unknown)}`, of which {LATENTS_NAME} says nothing", help=AGAIN)
        return file

    def _tensors(self) -> tuple[str, ...]:
        flipped = ("mean_flipped", "std_flipped") if self.index.flipped else ()
        return ("mean", "std", *flipped, *(("labels",) if self.index.labelled else ()))

    def _read_labels(self) -> Labels:
        if not self.index.labelled:
            return Labels.absent("the images that were encoded had none")
        parts = [cast("NDArray[np.int64]", file.get_tensor("labels")) for file in self._files]
        labels = np.concatenate(parts)
        if labels.min() < 0:
            raise RunError(f"{self.where(int(labels.argmin()))} has the class {labels.min()}", help=AGAIN)
        return Labels(tuple(labels.tolist()), self.index.class_names)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(min(16, os.cpu_count() or 1), thread_name_prefix="latents")


def is_latents(path: Path) -> bool:
    """Whether a folder holds latents."""
    return (path / LATENTS_NAME).is_file()


def file_digest(paths: Iterable[Path]) -> str:
    """SHA-256 of files, one after the other. Raises RunError when one cannot be read."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while chunk := file.read(2**20):
                    digest.update(chunk)
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error}") from error
    return digest.hexdigest()
