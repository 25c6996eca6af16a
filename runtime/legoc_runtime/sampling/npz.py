"""ADM's file of samples, written picture by picture: `arr_0` uint8 [N,H,W,C], `arr_1` int64 [N] the classes.

The evaluation suite of ADM (Dhariwal and Nichol 2021) reads it, and so does `numpy.load`.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from legoc_runtime.errors import RunError

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of the entries: the same pictures give the same bytes."""


def npz_name(count: int, shape: tuple[int, int, int]) -> str:
    """The file's name, as ADM has it: `samples_50000x256x256x3.npz`. `shape` is channels, height, width."""
    channels, height, width = shape
    return f"samples_{count}x{height}x{width}x{channels}.npz"


def write_npz(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    shape: tuple[int, int, int],
    labels: Sequence[int] | None,
    count: int,
) -> None:
    """Write a file of samples whole or not at all, one picture in memory at a time.

    Args:
        path: where.
        pictures: uint8 [C,H,W] each, as many as `count`.
        shape: channels, height, width.
        labels: the classes, or None for an unconditional stack, whose file has no `arr_1`.
        count: how many pictures there are.

    Raises:
        RunError: the disk is full, or the file cannot be written.
    """
    channels, height, width = shape
    neighbour = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(neighbour, "w", zipfile.ZIP_STORED) as archive:
            with _entry(archive, "arr_0") as file:
                _header(file, (count, height, width, channels), "|u1")
                for picture in pictures:
                    file.write(np.ascontiguousarray(picture.transpose(1, 2, 0)).tobytes())
            if labels is not None:
                with _entry(archive, "arr_1") as file:
                    _header(file, (count,), "<i8")
                    file.write(np.array(labels, dtype="<i8").tobytes())
        neighbour.replace(path)
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error.strerror or error}", help="free space or choose another --out"
        ) from error
    finally:
        neighbour.unlink(missing_ok=True)


@contextmanager
def _entry(archive: zipfile.ZipFile, name: str) -> Generator[IO[bytes]]:
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
    with archive.open(entry, "w", force_zip64=True) as file:
        yield file


def _header(file: IO[bytes], shape: tuple[int, ...], descr: str) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
