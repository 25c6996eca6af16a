"""NumPy archives read safely: no pickles, sizes known before anything is allocated, images row by row."""

from __future__ import annotations

import math
import os
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from legoc_runtime.errors import RunError, UsageError

MAX_HEADER_BYTES = 10_000
MAX_ARRAY_BYTES = 2**30
"""Larger arrays are read row by row or not at all."""

MAX_MEMBERS = 64

_FAULTS = (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """What the header of an array says.

    Attributes:
        shape: of the array.
        dtype: of its elements; never objects.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


class Npz:
    """An open `.npz` whose headers have been read and checked.

    Attributes:
        path: of the file.
        arrays: name to header.
    """

    def __init__(self, path: Path) -> None:
        """Open an archive.

        Raises:
            UsageError: there is no such file.
            RunError: it is no archive of arrays, or one of them is a pickle.
        """
        self.path = path
        if not path.is_file():
            raise UsageError(f"there is no file {path}", help="give an .npz of pictures or of statistics")
        try:
            self._zip = zipfile.ZipFile(path)
            # closed before the collector takes a cycle apart, which may come upon the bare file first
            weakref.finalize(self, self._zip.close)
            names = [info.filename for info in self._zip.infolist()]
            if len(names) > MAX_MEMBERS:
                raise ValueError(f"it holds {len(names)} arrays")
            self.arrays = {name.removesuffix(".npy"): self._header(name) for name in names}
        except _FAULTS as error:
            raise _unreadable(path, error) from error

    def _header(self, member: str) -> ArrayHeader:
        with self._zip.open(member) as file:
            return _read_header(file, f"{self.path}: {member}")

    def array(self, name: str) -> NDArray[np.generic]:
        """A whole array, of up to a gigabyte.

        Raises:
            RunError: it is larger, or does not read.
        """
        header = self.arrays[name]
        where = f"{self.path}: {name}"
        size = math.prod(header.shape) * header.dtype.itemsize
        if size > MAX_ARRAY_BYTES:
            raise RunError(f"{where} has {size:,} bytes; at most {MAX_ARRAY_BYTES:,} are read")
        try:
            with self._zip.open(f"{name}.npy") as file:
                return npy.read_array(file, allow_pickle=False, max_header_size=MAX_HEADER_BYTES)
        except _FAULTS as error:
            raise _unreadable(where, error) from error

    def rows(self, name: str, count: int, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.generic]]:
        """Rows `start` to `stop` of an array in C order, `count` at a time; memory is that of the rows.

        Raises:
            RunError: it does not read, or ends early.
        """
        header = self.arrays[name]
        where = f"{self.path}: {name}"
        row_bytes = math.prod(header.shape[1:]) * header.dtype.itemsize
        try:
            with self._zip.open(f"{name}.npy") as file:
                _read_header(file, where)
                end = header.shape[0] if stop is None else stop
                file.seek(start * row_bytes, os.SEEK_CUR)
                for first in range(start, end, count):
                    rows = min(count, end - first)
                    data = file.read(rows * row_bytes)
                    if len(data) != rows * row_bytes:
                        raise EOFError(f"it ends in row {first + len(data) // max(row_bytes, 1)}")
                    yield np.frombuffer(data, dtype=header.dtype).reshape(rows, *header.shape[1:])
        except _FAULTS as error:
            raise _unreadable(where, error) from error


def _read_header(file: IO[bytes], where: str) -> ArrayHeader:
    """The header at the start of an array's file, which is then at its first element."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array of format {version}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file, max_header_size=MAX_HEADER_BYTES)
    if dtype.hasobject:
        raise RunError(f"{where} is a pickle of Python objects, which can run code: it is not read")
    if fortran and len(shape) > 2:
        raise RunError(f"{where} is in Fortran order", help="save it with numpy.ascontiguousarray")
    return ArrayHeader(shape, dtype)


def _unreadable(where: object, error: Exception) -> RunError:
    return RunError(f"{where} cannot be read as NumPy arrays: {error}", help="it may be cut short: copy it again")
