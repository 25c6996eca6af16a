"""WebDataset shards: tars in which the files of an example share their name up to the first dot.

They are read by index, not as a stream, so that a run sees them in its own order and continues at any image. The index
is made from the headers when a set is opened.
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import numpy as np

from legoc_runtime.data.labels import Labels
from legoc_runtime.data.pictures import SUFFIXES
from legoc_runtime.data.sources import ImageSource, check_bytes
from legoc_runtime.data.tar_index import Member, tar_members
from legoc_runtime.errors import RunError

LABEL_SUFFIX = ".cls"
MAX_LABEL_BYTES = 32


class TarSource(ImageSource):
    """One tar, or a folder of them: `KEY.png` (jpg, jpeg, webp) with `KEY.cls`, a class in decimal digits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shards = shards_of(path)
        found: dict[str, tuple[str, int, Member]] = {}
        classes: dict[str, int] = {}
        for number, shard in enumerate(self._shards):
            self._index(number, shard, found, classes)
        if not found:
            raise RunError(f"{path} holds no images", help=f"images are files that end in {', '.join(SUFFIXES)}")
        keys = sorted(found, key=lambda key: found[key][0])
        self.names = tuple(found[key][0] for key in keys)
        # arrays, since a large set has millions of them
        self._places = np.array([(s, m.offset, m.size) for _, s, m in (found[key] for key in keys)], dtype=np.int64)
        self.labels = _labels(path, keys, classes)

    def _index(
        self, number: int, shard: Path, found: dict[str, tuple[str, int, Member]], classes: dict[str, int]
    ) -> None:
        try:
            for member in tar_members(shard):
                folder, slash, file = member.name.rpartition("/")
                stem, dot, extension = file.partition(".")
                key, suffix = f"{shard.name}/{folder}{slash}{stem}", f"{dot}{extension}".lower()
                if not stem:
                    continue
                if suffix in SUFFIXES:
                    name = f"{shard.name}/{member.name}"
                    check_bytes(f"{self.path}: {name}", member.size)
                    if key in found:
                        raise RunError(f"{shard} holds more than one image of {key}", help="make the shard again")
                    found[key] = (name, number, member)
                elif suffix == LABEL_SUFFIX:
                    classes[key] = _class(shard, member)
        except OSError as error:
            raise RunError(f"{shard} cannot be read: {error}") from error

    def open(self, index: int) -> AbstractContextManager[IO[bytes]]:
        """The encoded image as a file."""
        shard, offset, size = (int(number) for number in self._places[index])
        return io.BytesIO(_read(self._shards[shard], offset, size))


def shards_of(path: Path) -> tuple[Path, ...]:
    """The tars of a set, in the order of their names; none where a folder holds none."""
    return (path,) if path.is_file() else tuple(sorted(p for p in path.glob("*.tar") if not p.name.startswith(".")))


def _read(shard: Path, offset: int, size: int) -> bytes:
    # opened anew: a set may have more shards than a process may hold files, and threads share no position
    with shard.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _class(shard: Path, member: Member) -> int:
    text = _read(shard, member.offset, min(member.size, MAX_LABEL_BYTES)).strip()
    if member.size > MAX_LABEL_BYTES or not text.isdigit():
        raise RunError(
            f"{shard}: {member.name} is no class but {text[:20]!r}", help="a .cls file holds a number, 0 or more"
        )
    return int(text)


def _labels(path: Path, keys: list[str], classes: dict[str, int]) -> Labels:
    if not classes:
        return Labels.absent("its shards hold no .cls")
    if missing := next((key for key in keys if key not in classes), None):
        raise RunError(f"{path} has no label for {missing}", help="give every image a .cls, or none at all")
    return Labels(tuple(classes[key] for key in keys))
