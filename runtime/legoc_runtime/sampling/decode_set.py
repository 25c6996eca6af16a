"""Latents that were sampled without a VAE, decoded later: the pictures that sampling with one would have made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling.decoding import Decoding
from legoc_runtime.sampling.given import GRID_NAME
from legoc_runtime.sampling.npz import npz_name, write_npz
from legoc_runtime.sampling.pictures import grid, grid_count, png_bytes, read_png, to_uint8, write_whole
from legoc_runtime.sampling.record import RECORD_NAME, read_record, write_record


@dataclass(frozen=True)
class LatentSet:
    """A complete set of latents that `legoc sample` wrote.

    Attributes:
        path: its directory.
        record: its `samples.json`.
        shape: channels, height, width of a latent.
        files: the latents' files, in the order of the seeds.
    """

    path: Path
    record: dict[str, Any]
    shape: tuple[int, int, int]
    files: tuple[str, ...]

    @property
    def on_canvas(self) -> bool:
        """Whether they are larger than the stack's grid."""
        return "canvas" in self.record["request"]

    def latent(self, place: int) -> NDArray[np.float32]:
        """A latent float32 [C, h, w]. Raises RunError where it is gone or damaged."""
        path = self.path / self.files[place]
        try:
            found: object = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise RunError(f"{path} cannot be read: {error}", help="sample it again with --resume") from error
        array = cast("NDArray[Any]", found)
        if not isinstance(found, np.ndarray) or array.shape != self.shape or array.dtype != np.float32:
            raise RunError(f"{path} is no float32 latent of {self.shape}", help="sample it again with --resume")
        return array


def open_latents(path: Path) -> LatentSet:
    """A set of latents.

    Raises:
        UsageError: there is none, or its pictures are pictures already.
        RunError: it is not complete, or its record says what cannot be.
    """
    record = read_record(path) if path.is_dir() else None
    if record is None:
        raise UsageError(f"{path} holds no samples", help="give a directory that `legoc sample` wrote")
    if record.get("complete") is not True:
        raise RunError(f"{path} is not complete", help="finish it with `legoc sample --resume`")
    try:
        files = tuple(str(picture["file"]) for picture in record["pictures"])
        channels, height, width = (int(side) for side in record["request"]["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path / RECORD_NAME} lists no samples", help="sample again") from error
    if not files or any(Path(name).name != name for name in files):
        raise RunError(f"{path / RECORD_NAME} lists no files beside it", help="sample again")
    if not all(name.endswith(".npy") for name in files):
        raise UsageError(f"{path} holds pictures, not latents", help="there is nothing to decode")
    return LatentSet(path, record, (channels, height, width), files)


def decode_set(
    latents: LatentSet,
    decoding: Decoding,
    out: Path,
    *,
    npz: bool = False,
    on_pictures: Callable[[int], None] = lambda count: None,
) -> int:
    """Write the pictures of a set, its grid and its record; pictures that are there of the same request stay.

    Args:
        latents: the set.
        decoding: how it becomes pictures.
        out: where: nothing, an empty directory, or one that was begun by the same call.
        npz: whether ADM's file of samples is written too.
        on_pictures: told how many further pictures are there.

    Returns:
        how many pictures were made.

    Raises:
        UsageError: `out` holds something else.
        RunError: a latent is damaged, or the disk does not take a picture.
    """
    names = tuple(Path(name).with_suffix(".png").name for name in latents.files)
    begun = _record(latents, decoding, names)
    _claim(out, begun)
    absent = [i for i, name in enumerate(names) if read_png(out / name, decoding.picture_shape) is None]
    on_pictures(len(names) - len(absent))
    began = perf_counter()
    for start in range(0, len(absent), decoding.batch):
        places = absent[start : start + decoding.batch]
        rows = torch.tensor(np.stack([latents.latent(place) for place in places]))
        for place, picture in zip(places, to_uint8(decoding.pictures(rows)), strict=True):
            write_whole(out / names[place], png_bytes(picture))
        on_pictures(len(places))
    timing = {**latents.record.get("timing", {}), "decoding_seconds": perf_counter() - began}
    shown = names[: grid_count(*decoding.picture_shape[1:])]
    write_whole(out / GRID_NAME, png_bytes(grid([_picture(out / name, decoding) for name in shown])))
    record = {**begun, "complete": True, "timing": timing}
    if npz:
        labels = latents.record["request"].get("classes")
        file = out / npz_name(len(names), decoding.picture_shape)
        write_npz(file, (_picture(out / name, decoding) for name in names), decoding.picture_shape, labels, len(names))
        record["npz"] = file.name
    write_record(out, record)
    return len(absent)


def _record(latents: LatentSet, decoding: Decoding, names: tuple[str, ...]) -> dict[str, Any]:
    """The record of the set, not yet complete: that of the latents, with a decoder."""
    record = latents.record
    pictures = [{**picture, "file": name} for picture, name in zip(record["pictures"], names, strict=True)]
    how = {**record.get("how", {}), "decoded_from": str(latents.path), "decode_batch": decoding.batch}
    request = {**record["request"], "decoder": decoding.record()}
    return {**record, "complete": False, "request": request, "how": how, "pictures": pictures}


def _claim(out: Path, begun: Mapping[str, Any]) -> None:
    """Take the directory, or go on in it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        empty = next(out.iterdir(), None) is None
    except OSError as error:
        raise RunError(f"{out} cannot be used: {error.strerror or error}", help="choose another --out") from error
    if not empty:
        found = read_record(out)
        if found is None or found.get("request") != json.loads(json.dumps(begun["request"])):
            raise UsageError(f"{out} holds something else", help="choose another --out")
    write_record(out, begun)


def _picture(path: Path, decoding: Decoding) -> NDArray[np.uint8]:
    found = read_png(path, decoding.picture_shape)
    if found is None:
        raise RunError(f"{path} is gone or damaged", help="decode again")
    return found
