"""Where the encoded images of a set come from: a zip or a folder. All forms of a set look alike from here on.

A set's order is the order of its names, compared as text, whatever order the file system or the zip gives.
"""

from __future__ import annotations

import os
import stat
import weakref
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast
from zipfile import BadZipFile, LargeZipFile, ZipFile

from legoc_runtime.data.labels import INDEX_NAME, MAX_INDEX_BYTES, Labels, labels_from_folders, parse_index
from legoc_runtime.data.pictures import SUFFIXES, naming
from legoc_runtime.errors import RunError

MAX_MEMBER_BYTES = 64 * 2**20
"""Larger files are refused before they are read: no encoded training image is that large."""


class ImageSource(ABC):
    """Encoded images by index.

    Attributes:
        path: the file or the folder.
        names: names of the images inside it, sorted.
        labels: classes of the images, or why there are none.
    """

    path: Path
    names: tuple[str, ...]
    labels: Labels

    @abstractmethod
    def open(self, index: int) -> AbstractContextManager[IO[bytes]]:
        """The encoded image as a file; may be called from several threads."""

    def where(self, index: int) -> str:
        """How errors call an image."""
        return f"{self.path}: {self.names[index]}"


class ZipSource(ImageSource):
    """A zip of images with `dataset.json`, as StyleGAN and EDM make them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = ZipFile(path)
        except (BadZipFile, LargeZipFile, OSError, ValueError) as error:
            raise RunError(
                f"{path} cannot be read as a zip: {error}", help="it may be cut short: copy it again"
            ) from error
        # a source in a cycle (with an error's traceback, say) is collected in any order: its file would go unclosed
        weakref.finalize(self, self._zip.close)
        members = [info for info in self._zip.infolist() if not info.is_dir() and _is_visible(info.filename)]
        repeated = [name for name, count in Counter(info.filename for info in members).items() if count > 1]
        if repeated:
            raise RunError(f"{path} holds {repeated[0]} more than once", help="make the zip again")
        self._members = {info.filename: info for info in members}
        self.names = _image_names(path, self._members)
        for name in self.names:
            check_bytes(f"{path}: {name}", self._members[name].file_size)
            if stat.S_ISLNK(self._members[name].external_attr >> 16):
                raise RunError(f"{path}: {name} is a symbolic link", help="make the zip again, of files alone")
        self.labels = self._read_labels()

    def _read_labels(self) -> Labels:
        info = self._members.get(INDEX_NAME)
        if info is None:
            return Labels.absent(f"it has no {INDEX_NAME}")
        where = f"{self.path}: {INDEX_NAME}"
        check_bytes(where, info.file_size, MAX_INDEX_BYTES)
        with naming(where):
            text = self._zip.read(info)
        return parse_index(text, self.names, where)

    def open(self, index: int) -> AbstractContextManager[IO[bytes]]:
        """The encoded image as a file."""
        return self._zip.open(self._members[self.names[index]])


class FolderSource(ImageSource):
    """A folder of class folders, or of images. A `dataset.json` in it goes before folder names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        files = _walk(path)
        self.names = _image_names(path, files)
        for name in self.names:
            check_bytes(f"{path / name}", (path / name).stat().st_size)
        index = path / INDEX_NAME
        if index.is_file():
            check_bytes(str(index), index.stat().st_size, MAX_INDEX_BYTES)
            with naming(str(index)):
                text = index.read_bytes()
            self.labels = parse_index(text, self.names, str(index))
        else:
            self.labels = labels_from_folders(path, self.names)

    def open(self, index: int) -> AbstractContextManager[IO[bytes]]:
        """The encoded image as a file."""
        return cast("BinaryIO", (self.path / self.names[index]).open("rb"))


def _is_visible(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _image_names(path: Path, names: Collection[str]) -> tuple[str, ...]:
    images = tuple(sorted(name for name in names if name.lower().endswith(SUFFIXES)))
    if not images:
        others = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in names)
        held = ", ".join(f"{count} x {suffix}" for suffix, count in others.most_common(3)) or "nothing"
        raise RunError(f"{path} holds no images ({held})", help=f"images are files that end in {', '.join(SUFFIXES)}")
    return images


def check_bytes(where: str, size: int, limit: int = MAX_MEMBER_BYTES) -> None:
    """Refuse what is larger than any encoded image is, before it is read. Raises RunError."""
    if size > limit:
        raise RunError(f"{where} has {size:,} bytes; at most {limit:,} are read", help="take it out")


def _walk(root: Path) -> list[str]:
    """Names of all visible files below `root`. Links are followed, but never in a circle."""
    found: list[str] = []
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if _is_visible(name))
        relative = Path(folder).relative_to(root)
        found += [(relative / name).as_posix() for name in files if _is_visible(name)]
    return found
