"""Which form of a set stands at a path."""

from __future__ import annotations

from pathlib import Path

from legoc_runtime.contract.manifest import MANIFEST_NAME, SPEC_NAME
from legoc_runtime.data.hugging_face import HuggingFaceSource, is_saved_dataset
from legoc_runtime.data.sources import FolderSource, ImageSource, ZipSource
from legoc_runtime.data.tar_shards import TarSource, shards_of
from legoc_runtime.errors import RunError, UsageError

COMPRESSED = (".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2")
"""Tars of which no image can be read by its place."""


def open_source(path: Path) -> ImageSource:
    """The source at a path.

    Raises:
        UsageError: there is nothing there, or it is no set of images.
        RunError: it cannot be read, or holds no image.
    """
    try:
        if path.is_dir():
            return _open_folder(path)
        if not path.exists():
            raise UsageError(
                f"there is no image set at {path}", help="give the path of a zip, of a tar, or of a folder of images"
            )
        if path.name.lower().endswith(COMPRESSED):
            raise _compressed(path)
        if path.suffix.lower() == ".tar":
            return TarSource(path)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    if path.suffix.lower() != ".zip":
        raise UsageError(
            f"{path} is neither a folder nor a .zip or .tar", help="give a folder of images, or an archive of them"
        )
    return ZipSource(path)


def _open_folder(path: Path) -> ImageSource:
    if any((place / MANIFEST_NAME).is_file() and (place / SPEC_NAME).is_file() for place in (path, path / "stack")):
        raise UsageError(
            f"{path} is a build, a run or an exported folder of legoc, not a set of images",
            help=f"where it has weights, `legoc sample {path}` makes pictures with them",
        )
    if is_saved_dataset(path):
        return HuggingFaceSource(path)
    if shards_of(path):
        return TarSource(path)
    if packed := next((file for file in sorted(path.iterdir()) if file.name.lower().endswith(COMPRESSED)), None):
        raise _compressed(packed)
    return FolderSource(path)


def _compressed(path: Path) -> UsageError:
    return UsageError(
        f"{path} is compressed, so that no image of it can be read by its place",
        help="unpack it to a .tar: images are compressed already",
    )
