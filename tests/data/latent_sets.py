"""A small folder of latents, as `legoc data encode` would write it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from legoc_runtime.data.latents_index import LATENTS_NAME, Encoded, Encoder, LatentsIndex, Shard

ENCODER = Encoder("vae", "0" * 64, 0.5, 0.25)


def write_latents(
    path: Path, images: tuple[int, ...] = (6, 4), *, size: tuple[int, int, int] = (3, 8, 8), flipped: bool = True
) -> Path:
    """Shards of so many images each, of three classes."""
    path.mkdir(parents=True)
    shards: list[Shard] = []
    for number, count in enumerate(images):
        rng = np.random.default_rng(number)
        names = ["mean", "std", *(("mean_flipped", "std_flipped") if flipped else ())]
        tensors = {name: np.abs(rng.standard_normal((count, *size), np.float32)) for name in names}
        labels = (np.arange(count) + sum(images[:number])) % 3
        file = path / f"latents-{number:05d}.safetensors"
        save_file({**tensors, "labels": labels.astype(np.int64)}, file)
        shards.append(Shard(file.name, count, hashlib.sha256(file.read_bytes()).hexdigest()))
    index = LatentsIndex(
        images=sum(images), channels=size[0], height=size[1], width=size[2], dtype="float32", flipped=flipped,
        labelled=True, class_names=None, std=0.6, channel_mean=(0.0,) * size[0], channel_std=(0.6,) * size[0],
        encoder=ENCODER, source=Encoded("images", "0" * 64, 64, 64, "none"), shards=tuple(shards),
    )  # fmt: skip
    (path / LATENTS_NAME).write_text(index.to_json(), encoding="utf-8")
    return path
