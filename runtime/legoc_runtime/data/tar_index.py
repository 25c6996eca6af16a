"""Where the files of a tar lie in it, read from its headers alone, within bounds.

The standard library reads one header at a time here (`TarInfo.frombuf`); walking from header to header is done by hand,
since its own reader takes the size of a long name or of a pax record from the file and reads as much.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from legoc_runtime.errors import RunError

MAX_NAME_BYTES = 4096
MAX_PAX_BYTES = 64 * 1024
_BLOCK = tarfile.BLOCKSIZE

_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a tar.

    Attributes:
        name: its name there.
        offset: where its bytes begin.
        size: how many there are.
    """

    name: str
    offset: int
    size: int


def tar_members(path: Path) -> Iterator[Member]:
    """The files of an uncompressed tar, in its order; folders are left out.

    Raises:
        RunError: it is no tar, is cut short, or holds something that is neither file nor folder.
        OSError: it cannot be read.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        name: str | None = None
        size: int | None = None
        while (info := _header(file, path)) is not None:
            begin = file.tell()
            end = begin + (info.size if size is None else size)
            if not begin <= end <= length:
                raise RunError(f"{path} is cut short in {name or info.name}", help="copy it again")
            match info.type:
                case tarfile.GNUTYPE_LONGNAME:
                    long = _bounded(file, info.size, MAX_NAME_BYTES, path)
                    name = long.rstrip(b"\0").decode("utf-8", "surrogateescape")
                case tarfile.XHDTYPE:
                    name, size = _pax(_bounded(file, info.size, MAX_PAX_BYTES, path), path, name)
                case tarfile.XGLTYPE | tarfile.DIRTYPE:
                    pass
                case tarfile.REGTYPE | tarfile.AREGTYPE:
                    yield Member(_checked(name or info.name, path), begin, end - begin)
                    name = size = None
                case other:
                    what = _KINDS.get(other, f"of type {other!r}")
                    raise RunError(
                        f"{path} holds {name or info.name}, which is {what}", help="make the tar again, of files alone"
                    )
            file.seek(begin + -(-(end - begin) // _BLOCK) * _BLOCK)


def _header(file: BinaryIO, path: Path) -> tarfile.TarInfo | None:
    block = file.read(_BLOCK)
    if not block or block.count(0) == _BLOCK:
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise RunError(
            f"{path} cannot be read as a tar at byte {file.tell() - len(block):,}: {error}",
            help="shards must be whole and uncompressed",
        ) from error


def _bounded(file: BinaryIO, size: int, most: int, path: Path) -> bytes:
    if size > most:
        raise RunError(f"{path} holds a name or record of {size:,} bytes; at most {most:,} are read")
    return file.read(size)


def _pax(records: bytes, path: Path, name: str | None) -> tuple[str | None, int | None]:
    """Name and size that a pax record gives to the next file; each record reads `LENGTH KEY=VALUE`, newline."""
    size: int | None = None
    while records:
        digits, space, _ = records.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        if not space or not len(digits) + 2 < length <= len(records):
            raise RunError(f"{path} holds a pax record that cannot be read", help="make the tar again")
        key, _, value = records[len(digits) + 1 : length - 1].partition(b"=")
        if key == b"path":
            name = value.decode("utf-8", "surrogateescape")
        elif key == b"size" and value.isdigit() and len(value) < 20:
            size = int(value)
        elif key.startswith(b"GNU.sparse"):
            raise RunError(f"{path} holds a sparse file", help="make the tar again, of plain files")
        records = records[length:]
    return name, size


def _checked(name: str, path: Path) -> str:
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise RunError(f"{path} holds {name!r}, a name that leads out of it", help="make the tar again")
    return name
