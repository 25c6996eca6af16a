"""`latents.json`: what a folder of latents holds, and how they were made."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from legoc_runtime.contract import codec
from legoc_runtime.errors import LegocError, RunError

LATENTS_NAME = "latents.json"
LATENTS_VERSION = 1
MAX_LATENTS_BYTES = 64 * 2**20

SHARD_NAME = re.compile(r"latents-[0-9]{5}\.safetensors")

AGAIN = "make the latents again with `legoc data encode`"


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of latents.

    Attributes:
        file: its name in the folder.
        images: how many it holds.
        sha256: of its bytes.
    """

    file: str
    images: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Encoder:
    """The VAE that made the latents.

    Attributes:
        name: the name of its folder.
        sha256: of its weights and configuration.
        scaling_factor: what latents are multiplied by.
        shift_factor: what is taken from them first.
    """

    name: str
    sha256: str
    scaling_factor: float
    shift_factor: float


@dataclass(frozen=True, slots=True)
class Encoded:
    """The images that were encoded.

    Attributes:
        name: the name of the zip, folder or shards.
        sha256: fingerprint of the set.
        height: rows of an image as it was encoded.
        width: columns.
        resize: the rule that it came to this size by.
    """

    name: str
    sha256: str
    height: int
    width: int
    resize: str


@dataclass(frozen=True, slots=True)
class LatentsIndex:
    """A folder of latents.

    A shard holds `mean` and `std`, [images, channels, height, width], of each image's distribution as the VAE gives
    it; with `flipped` also `mean_flipped` and `std_flipped`, those of its mirror image; and `labels` [images] int64
    where the set is labelled. A stack trains on (mean + std * noise - shift_factor) * scaling_factor.

    Attributes:
        images: how many there are.
        channels: of a latent.
        height: rows of a latent.
        width: columns of a latent.
        dtype: of the moments.
        flipped: whether the moments of mirror images are there too.
        labelled: whether every image has a class.
        class_names: names of the classes, or None.
        std: standard deviation of what a stack trains on, over all images, channels and places.
        channel_mean: its mean by channel.
        channel_std: its standard deviation by channel.
        encoder: the VAE.
        source: the images.
        shards: the files, in order.
    """

    images: int
    channels: int
    height: int
    width: int
    dtype: Literal["float32", "float16"]
    flipped: bool
    labelled: bool
    class_names: tuple[str, ...] | None
    std: float
    channel_mean: tuple[float, ...]
    channel_std: tuple[float, ...]
    encoder: Encoder
    source: Encoded
    shards: tuple[Shard, ...]

    def to_json(self) -> str:
        """The text of `latents.json`."""
        body = {"latents_version": LATENTS_VERSION, **codec.encode_fields(self)}
        return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_index(folder: Path) -> LatentsIndex:
    """Read and check the `latents.json` of a folder.

    Raises:
        RunError: it cannot be read, is of another version, or does not add up.
    """
    path = folder / LATENTS_NAME
    try:
        if path.stat().st_size > MAX_LATENTS_BYTES:
            raise RunError(f"{path} has more than {MAX_LATENTS_BYTES:,} bytes", help=AGAIN)
        data: object = json.loads(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not JSON: {error}", help=AGAIN) from error
    body = dict(cast("dict[str, object]", data)) if isinstance(data, dict) else {}
    version = body.pop("latents_version", None)
    if version != LATENTS_VERSION:
        raise RunError(
            f"{path} has latents version {version!r}; this legoc reads version {LATENTS_VERSION}", help=AGAIN
        )
    try:
        index = codec.decode(LatentsIndex, body, where=str(path))
    except LegocError as error:
        raise RunError(error.message, help=AGAIN) from error
    for shard in index.shards:
        if not SHARD_NAME.fullmatch(shard.file) or shard.images < 1:
            raise RunError(f"{path} names {shard.file!r} of {shard.images} images, which is no shard", help=AGAIN)
    if len({shard.file for shard in index.shards}) < len(index.shards) or not index.shards:
        raise RunError(f"{path} names no shard, or one twice", help=AGAIN)
    if (
        sum(shard.images for shard in index.shards) != index.images
        or min(index.channels, index.height, index.width) < 1
    ):
        raise RunError(f"{path}: {index.images} images are not what its shards hold", help=AGAIN)
    return index
