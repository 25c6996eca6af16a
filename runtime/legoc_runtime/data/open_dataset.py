"""Whatever can be trained on, by its path."""

from __future__ import annotations

from pathlib import Path

from legoc_runtime.contract.settings import Resize
from legoc_runtime.data.dataset import open_images
from legoc_runtime.data.latents import LatentDataset, is_latents
from legoc_runtime.data.resize import Size
from legoc_runtime.data.training_set import TrainingSet
from legoc_runtime.errors import UsageError


def open_dataset(path: str | Path, *, resize: Resize = "none", size: Size | None = None) -> TrainingSet:
    """Open images (a zip, a folder, shards, a set of `datasets`) or a folder of latents.

    Args:
        path: where it is.
        resize: how images of other sizes come to `size`.
        size: height and width, for every rule but `none`.

    Raises:
        UsageError: there is no such set, or the rule cannot be followed.
        RunError: a file of it cannot be read, or is not like the others; the message names it.
    """
    path = Path(path).expanduser()
    if not is_latents(path):
        return open_images(path, resize=resize, size=size)
    if resize != "none":
        raise UsageError(
            f"{path} holds latents, which `resize: {resize}` does not apply to",
            help="resize the images when they are encoded: `legoc data encode --resize`",
        )
    return LatentDataset(path)
