"""Sets of pictures to evaluate: folders, zips, sets that `legoc sample` made, arrays in ADM's `.npz`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from legoc_runtime.data.dataset import ImageDataset
from legoc_runtime.data.labels import Labels
from legoc_runtime.data.open_source import open_source
from legoc_runtime.data.sources import ImageSource
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.evaluation.npz import Npz
from legoc_runtime.sampling.record import RECORD_NAME, read_record

PICTURES_NAME = "arr_0"
"""The array of pictures in an ADM `.npz`, uint8 [N,H,W,C]."""

_HASH_CHUNK_BYTES = 2**20


class PictureSet(Protocol):
    """Pictures of one size, in a fixed order."""

    @property
    def path(self) -> Path:
        """Where they come from, as given."""
        ...

    @property
    def title(self) -> str:
        """What a report calls the set: its path, and which part of it."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of every picture."""
        ...

    def __len__(self) -> int: ...

    def fingerprint(self) -> str:
        """SHA-256 over the encoded pictures, in order: features are cached under it."""
        ...

    def batches(self, count: int, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Pictures `start` to `stop` in order, uint8 [N,3,H,W], `count` at a time; grey ones have equal channels.

        Raises:
            RunError: one does not decode.
        """
        ...

    def name(self, index: int) -> str:
        """The name of a picture."""
        ...


class FilePictures:
    """Pictures in files of their own."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._dataset = ImageDataset(source)

    @property
    def path(self) -> Path:
        """The folder or zip."""
        return self._source.path

    @property
    def title(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._dataset.height, self._dataset.width

    def __len__(self) -> int:
        return len(self._source.names)

    def fingerprint(self) -> str:
        """SHA-256 over the files, each hashed first, so that no two divisions of the same bytes are alike."""
        whole = hashlib.sha256(b"files")
        for i in range(len(self)):
            one = hashlib.sha256()
            with self._source.open(i) as file:
                while chunk := file.read(_HASH_CHUNK_BYTES):
                    one.update(chunk)
            whole.update(one.digest())
        return whole.hexdigest()

    def batches(self, count: int, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Pictures in order, uint8 [N,3,H,W]."""
        end = len(self) if stop is None else stop
        for first in range(start, end, count):
            pictures = self._dataset.images(range(first, min(first + count, end)))
            yield np.broadcast_to(pictures, (len(pictures), 3, *self.size))

    def name(self, index: int) -> str:
        """The file's name."""
        return self._source.names[index]


class NpzPictures:
    """Pictures in one array, as ADM's tools write and read them: `arr_0`, uint8 [N,H,W,C]."""

    def __init__(self, npz: Npz) -> None:
        """Check the array's header.

        Raises:
            RunError: there is no such array, or it holds no 8-bit pictures.
        """
        self._npz = npz
        header = npz.arrays.get(PICTURES_NAME)
        if header is None:
            held = ", ".join(npz.arrays) or "nothing"
            raise RunError(f"{npz.path} holds no array `{PICTURES_NAME}` of pictures, but {held}")
        if header.dtype != np.uint8 or len(header.shape) != 4 or header.shape[3] not in (1, 3):
            shape = "x".join(map(str, header.shape))
            raise RunError(
                f"{npz.path}: {PICTURES_NAME} is {header.dtype} {shape}, not uint8 pictures [N, H, W, 3]",
                help="`legoc sample --npz` writes such a file",
            )
        self._shape = header.shape

    @property
    def path(self) -> Path:
        """The file."""
        return self._npz.path

    @property
    def title(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._shape[1], self._shape[2]

    def __len__(self) -> int:
        return self._shape[0]

    def fingerprint(self) -> str:
        """SHA-256 over the pixels."""
        whole = hashlib.sha256(f"npz{self._shape}".encode())
        for rows in self._npz.rows(PICTURES_NAME, 256):
            whole.update(rows.tobytes())
        return whole.hexdigest()

    def batches(self, count: int, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Pictures in order, uint8 [N,3,H,W]."""
        for rows in self._npz.rows(PICTURES_NAME, count, start, stop):
            pictures = cast("NDArray[np.uint8]", rows).transpose(0, 3, 1, 2)
            yield np.broadcast_to(pictures, (len(pictures), 3, *self.size))

    def name(self, index: int) -> str:
        """Its place."""
        return f"row {index}"


class Part:
    """Some pictures of a set, from `start` to `stop`: one of several sets of seeds in one folder or file."""

    def __init__(self, whole: PictureSet, start: int, stop: int) -> None:
        self._whole, self._start, self._stop = whole, start, stop

    @property
    def path(self) -> Path:
        """That of the whole."""
        return self._whole.path

    @property
    def title(self) -> str:
        """Its path and place."""
        return f"{self.path} [{self._start}:{self._stop}]"

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._whole.size

    def __len__(self) -> int:
        return self._stop - self._start

    def fingerprint(self) -> str:
        """SHA-256 over that of the whole and the place in it."""
        return hashlib.sha256(f"{self._whole.fingerprint()} {self._start} {self._stop}".encode()).hexdigest()

    def batches(self, count: int, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Pictures in order, uint8 [N,3,H,W]."""
        end = len(self) if stop is None else stop
        return self._whole.batches(count, self._start + start, self._start + end)

    def name(self, index: int) -> str:
        """As the whole calls it."""
        return self._whole.name(self._start + index)


def split(pictures: PictureSet, parts: int) -> list[PictureSet]:
    """A set in parts of equal length, one after the other.

    Raises:
        UsageError: its length is no multiple of `parts`.
    """
    if parts == 1:
        return [pictures]
    length, left = divmod(len(pictures), parts)
    if left or not length:
        raise UsageError(
            f"{pictures.path} has {len(pictures):,} pictures, which are not {parts} sets of one length",
            help="sets of different lengths cannot be compared: choose another --split",
        )
    return [Part(pictures, i * length, (i + 1) * length) for i in range(parts)]


class _SampleSource(ImageSource):
    """The pictures that a `samples.json` lists, in its order, which is that of the seeds."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path, self.names = path, tuple(names)
        self.labels = Labels.absent("samples are evaluated without their classes")

    def open(self, index: int) -> AbstractContextManager[IO[bytes]]:
        return cast("BinaryIO", (self.path / self.names[index]).open("rb"))


def open_pictures(path: Path) -> PictureSet:
    """The pictures at a path: a folder that `legoc sample` wrote, another folder, a zip, or an `.npz`.

    Raises:
        UsageError: there is nothing there, or nothing of that kind.
        RunError: it cannot be read, is not complete, or its pictures are of several sizes.
    """
    if path.suffix.lower() == ".npz":
        return NpzPictures(Npz(path))
    try:
        record = read_record(path) if path.is_dir() else None
        return FilePictures(open_source(path) if record is None else _SampleSource(path, _listed(path, record)))
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _listed(directory: Path, record: dict[str, Any]) -> list[str]:
    """Names of the pictures that a record lists."""
    where = directory / RECORD_NAME
    if record.get("complete") is not True:
        raise RunError(f"{where} says that its pictures are not all made", help="run the same `legoc sample` again")
    try:
        names = [str(picture["file"]) for picture in record["pictures"]]
    except (KeyError, TypeError) as error:
        raise RunError(f"{where} lists no pictures", help="sample again") from error
    if not names or any(Path(name).name != name for name in names):
        raise RunError(f"{where} lists no pictures beside it", help="sample again")
    if any(name.endswith(".npy") for name in names):
        raise UsageError(
            f"{directory} holds latents, not pictures: there is nothing to look at",
            help=f"`legoc decode {directory} --decoder VAE` makes pictures of them",
        )
    if missing := next((name for name in names if not (directory / name).is_file()), None):
        raise RunError(f"{directory} lacks {missing}, which its {RECORD_NAME} lists", help="sample again")
    return names
