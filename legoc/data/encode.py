"""Images to latents through the VAE of a latent diffusion model, as diffusers loads it from a local folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from legoc_runtime.data import ImageDataset
from legoc_runtime.data.latents import file_digest
from legoc_runtime.data.latents_index import LATENTS_NAME, Encoded, Encoder, LatentsIndex, Shard
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.vae import Vae, load_vae

Moments = tuple[NDArray[Any], NDArray[Any]]
"""Mean and standard deviation, each [N, C, H, W]."""


@dataclass(frozen=True)
class EncodeSettings:
    """How images are encoded.

    Attributes:
        batch: images at once.
        device: where the VAE runs.
        dtype: what moments are kept in.
        flip: whether mirror images are encoded too.
        shard_images: images a shard.
    """

    batch: int = 16
    device: str = "cpu"
    dtype: Literal["float32", "float16"] = "float32"
    flip: bool = False
    shard_images: int = 4096


@dataclass
class _Scales:
    """Sums over what a stack will train on, by channel, in float64."""

    count: int
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    def add(self, mean: NDArray[Any], std: NDArray[Any], encoder: Encoder) -> None:
        scaled = (mean.astype(np.float64) - encoder.shift_factor) * encoder.scaling_factor
        spread = std.astype(np.float64) * encoder.scaling_factor
        axes = (0, 2, 3)
        self.first = self.first + scaled.sum(axes)
        self.second = self.second + (scaled**2 + spread**2).sum(axes)
        self.count += mean.size // mean.shape[1]

    @property
    def channel_mean(self) -> NDArray[np.float64]:
        return self.first / self.count

    @property
    def channel_std(self) -> NDArray[np.float64]:
        return np.sqrt(np.maximum(self.second / self.count - self.channel_mean**2, 0))

    @property
    def std(self) -> float:
        mean = self.first.sum() / (self.count * len(self.first))
        return float(np.sqrt(max(self.second.sum() / (self.count * len(self.first)) - mean**2, 0)))


def encode(
    images: ImageDataset,
    vae_folder: Path,
    out: Path,
    settings: EncodeSettings,
    progress: Callable[[int], None] = lambda count: None,
) -> LatentsIndex:
    """Write the latents of a set of images, whole or not at all.

    Args:
        images: what is encoded, in the size that it is encoded at.
        vae_folder: local folder of an AutoencoderKL of diffusers.
        out: the folder to make; must not be there.
        settings: how.
        progress: is told how many images are done.

    Raises:
        UsageError: `out` is there already, or the VAE cannot be used.
        RunError: the VAE, an image or the disk fails.
    """
    if out.exists():
        raise UsageError(f"{out} is there already", help="choose another -o")
    vae = load_vae(vae_folder, settings.device)
    encoder = vae.encoder
    scales, shards, shape = _Scales(0, np.zeros(()), np.zeros(())), list[Shard](), (0, 0, 0)
    with _draft(out) as draft:
        for start in range(0, len(images), settings.shard_images):
            rows = range(start, min(start + settings.shard_images, len(images)))
            file = draft / f"latents-{len(shards):05d}.safetensors"
            tensors = _shard(images, vae, rows, settings, scales, progress)
            try:
                save_file(tensors, file)
            except OSError as error:
                raise RunError(f"{out} cannot be written: {error}", help="make room on the disk") from error
            file.chmod(0o644)
            shape = _shape(tensors["mean"])
            shards.append(Shard(file.name, len(rows), file_digest([file])))
        source = Encoded(images.path.name, images.fingerprint, images.height, images.width, images.resize)
        index = LatentsIndex(
            images=len(images),
            channels=shape[0],
            height=shape[1],
            width=shape[2],
            dtype=settings.dtype,
            flipped=settings.flip,
            labelled=images.labelled,
            class_names=images.class_names,
            std=scales.std,
            channel_mean=tuple(scales.channel_mean.tolist()),
            channel_std=tuple(scales.channel_std.tolist()),
            encoder=encoder,
            source=source,
            shards=tuple(shards),
        )
        (draft / LATENTS_NAME).write_text(index.to_json(), encoding="utf-8", newline="\n")
    return index


def _shape(moments: NDArray[Any]) -> tuple[int, int, int]:
    _, channels, height, width = cast("tuple[int, int, int, int]", moments.shape)
    return channels, height, width


def _shard(
    images: ImageDataset,
    vae: Vae,
    rows: range,
    settings: EncodeSettings,
    scales: _Scales,
    progress: Callable[[int], None],
) -> dict[str, NDArray[Any]]:
    parts: dict[str, list[NDArray[Any]]] = {}
    for start in range(rows.start, rows.stop, settings.batch):
        indices = range(start, min(start + settings.batch, rows.stop))
        pixels = images.images(indices).astype(np.float32) / np.float32(127.5) - np.float32(1)
        if pixels.shape[1] == 1:
            pixels = np.repeat(pixels, 3, axis=1)
        ways = [("", pixels)] + ([("_flipped", pixels[:, :, :, ::-1].copy())] if settings.flip else [])
        for suffix, given in ways:
            mean, std = _moments(vae, given, settings)
            if not (np.isfinite(mean).all() and np.isfinite(std).all()):
                raise RunError(
                    f"{images.where(start)}, or one after it, has a latent that is not finite",
                    help="check the VAE, or keep moments as --dtype float32",
                )
            scales.add(mean, std, vae.encoder)
            parts.setdefault(f"mean{suffix}", []).append(mean)
            parts.setdefault(f"std{suffix}", []).append(std)
        progress(indices.stop)
    # safetensors writes memory as it lies, and a VAE may give its channels last
    tensors = {name: np.ascontiguousarray(np.concatenate(arrays)) for name, arrays in parts.items()}
    if images.labelled:
        tensors["labels"] = np.array([images.label(i) for i in rows], dtype=np.int64)
    return tensors


def _moments(vae: Vae, pixels: NDArray[np.float32], settings: EncodeSettings) -> Moments:
    mean, std = vae.moments(torch.from_numpy(pixels))  # pyright: ignore[reportUnknownMemberType]
    return mean.numpy().astype(settings.dtype), std.numpy().astype(settings.dtype)


@contextmanager
def _draft(out: Path) -> Generator[Path]:
    """A folder beside `out` that becomes `out` once all of it is written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error}", help="choose another -o") from error
    try:
        yield draft
        os.chmod(draft, 0o755)
        draft.rename(out)
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error}", help="make room on the disk") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
