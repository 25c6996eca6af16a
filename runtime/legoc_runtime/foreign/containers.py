"""Files of weights that hold pickles: torch's zip, torch's older format, a bare pickle. Read as data, never run.

The file is mapped into memory, not read: tensors are slices of it until they are asked for.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.foreign.machine import Machine
from legoc_runtime.foreign.records import DTYPE_BYTES, Name, Storage
from legoc_runtime.foreign.vocabulary import storage_dtype

ZIP = "a zip of torch.save"
OLD = "the older format of torch.save"
PICKLE = "a pickle"

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MAX_MEMBERS = 200_000
_MAX_PICKLE_BYTES = 256 * 2**20
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_HELP = "nothing of it was run; take the weights as safetensors, or from those who published them"
_GIVE = "give a .pkl, .pt or .safetensors file"


def read_pickled(path: Path) -> tuple[Any, str]:
    """What a file that torch or pickle wrote describes, as inert data.

    Returns:
        The object, of `records`, mappings, lists and plain values; and the kind of file.

    Raises:
        UsageError: it is no such file.
        RunError: it is damaged, or has what no file of weights has. Nothing of it was run.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise RunError("it is empty")
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        if bytes(data[:2]) == b"PK":
            return _zip(path, data), ZIP
        if bytes(data[:1]) != b"\x80":
            raise UsageError(
                f"{path} is no file of weights: it begins neither like a pickle nor like a zip", help=_GIVE
            )
        return (_old(data), OLD) if _is_old(data) else (_bare(data), PICKLE)
    except RunError as error:
        raise RunError(f"{path} is refused: {error.message}", help=error.help or _HELP) from error
    except (OSError, ValueError, struct.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise RunError(f"{path} cannot be read: {error}", help=_HELP) from error


def _bare(data: memoryview) -> object:
    """One pickle, whose storages lie in it as bytes of `torch.save` (EDM's and the released LEGO's `.pkl`)."""
    found, end = Machine(data, load_bytes=_old).run()
    _check_end(data, end)
    return found


def _check_end(data: memoryview, end: int) -> None:
    if end != len(data):
        raise RunError(f"{len(data) - end:,} bytes follow its pickle")


# torch's older format ---------------------------------------------------------------------------------------------


def _is_old(data: memoryview) -> bool:
    """Whether the first pickle is torch's magic number."""
    try:
        return Machine(data[:64]).run()[0] == _MAGIC
    except RunError:
        return False


def _old(data: memoryview) -> object:
    """Magic number, version, system, object, keys of storages: a pickle each; then the storages."""
    magic, at = Machine(data).run()
    version, at = Machine(data).run(at)
    system, at = Machine(data).run(at)
    if magic != _MAGIC or version != _PROTOCOL or not isinstance(system, dict):
        raise RunError("it is not what torch.save wrote")
    if cast("dict[str, object]", system).get("little_endian") is not True:
        raise RunError("its numbers are big-endian")
    places: dict[str, memoryview] = {}
    wanted: dict[str, Storage] = {}
    found, at = Machine(data, partial(_old_storage, places, wanted)).run(at)
    keys, at = Machine(data).run(at)
    if not isinstance(keys, list):
        raise RunError("it does not say which storages it has")
    for key in cast("list[object]", keys):
        storage = wanted.get(str(key))
        if storage is None or str(key) in places:
            raise RunError("it has a storage that no tensor has, or one twice")
        count = int.from_bytes(_slice(data, at, 8), "little")
        if count != storage.count:
            raise RunError("a storage is not as long as its tensors say")
        size = count * DTYPE_BYTES[storage.dtype]
        places[str(key)] = _slice(data, at + 8, size)
        at += 8 + size
    if places.keys() != wanted.keys():
        raise RunError("a tensor has a storage that the file does not hold")
    _check_end(data, at)
    return found


def _old_storage(places: dict[str, memoryview], wanted: dict[str, Storage], reference: object) -> Storage | Name:
    match reference:
        case ("module", Name() as of, str(), str()):  # a class with the text of its source, which nothing here runs
            return of
        case ("storage", Name() as kind, str(key), str(), int(count), None):
            pass
        case _:
            raise RunError("its pickle refers to what is no storage")
    known = wanted.get(key)
    storage = Storage(_dtype(kind), _count(count), lambda: places[key])
    if known is None:
        wanted[key] = storage
    elif (known.dtype, known.count) != (storage.dtype, storage.count):
        raise RunError("a storage has two types or two lengths")
    return wanted[key]


# torch's zip ------------------------------------------------------------------------------------------------------


def _zip(path: Path, data: memoryview) -> object:
    """`NAME/data.pkl`, and each storage as `NAME/data/KEY`, none of them compressed."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if len(members) > _MAX_MEMBERS or sum(member.file_size for member in members) > len(data):
        raise RunError("its members are more or larger than the file can hold")
    by_name = {member.filename: member for member in members}
    if len(by_name) != len(members):
        raise RunError("it has a member twice")
    pickles = [name for name in by_name if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise RunError("it has no NAME/data.pkl, as torch.save writes it")
    root = pickles[0].removesuffix("data.pkl")
    if any(name.startswith(f"{root}code/") for name in by_name):
        raise RunError("it is a TorchScript program, not weights")
    if f"{root}byteorder" in by_name and bytes(_member(data, by_name[f"{root}byteorder"])) != b"little":
        raise RunError("its numbers are big-endian")
    pickled = _member(data, by_name[pickles[0]])
    if len(pickled) > _MAX_PICKLE_BYTES:
        raise RunError(f"its pickle has {len(pickled):,} bytes")

    @cache
    def storage_bytes(key: str) -> memoryview:
        return _member(data, by_name[f"{root}data/{key}"])

    def storage(reference: object) -> Storage:
        match reference:
            case ("storage", Name() as kind, str(key), str(), int(count)):
                pass
            case _:
                raise RunError("its pickle refers to what is no storage")
        member, dtype = by_name.get(f"{root}data/{key}"), _dtype(kind)
        if member is None or not key.isalnum() or not key.isascii():
            raise RunError("a tensor has a storage that the file does not hold")
        if member.file_size != _count(count) * DTYPE_BYTES[dtype]:
            raise RunError("a storage is not as long as its tensors say")
        return Storage(dtype, count, partial(storage_bytes, key))

    found, end = Machine(pickled, storage).run()
    _check_end(pickled, end)
    return found


def _member(data: memoryview, member: zipfile.ZipInfo) -> memoryview:
    """The bytes of a member, by the offset in the directory and the header that stands there."""
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 or member.compress_size != member.file_size:
        raise RunError(
            f"its member `{member.filename[:80]!r}` is compressed or encrypted, which torch.save does not do"
        )
    header = _LOCAL_HEADER.unpack(_slice(data, member.header_offset, _LOCAL_HEADER.size))
    signature, *_, name_length, extra_length = header
    if signature != b"PK\x03\x04":
        raise RunError("its directory points where no member is")
    begin = member.header_offset + _LOCAL_HEADER.size
    if bytes(_slice(data, begin, name_length)) != member.orig_filename.encode("utf-8", "replace"):
        raise RunError("its directory and its members have other names")
    found = _slice(data, begin + name_length + extra_length, member.file_size)
    if zlib.crc32(found) != member.CRC:
        raise RunError(f"its member `{member.filename[:80]!r}` does not have its checksum")
    return found


def _slice(data: memoryview, at: int, count: int) -> memoryview:
    part = data[at : at + count]
    if at < 0 or count < 0 or len(part) != count:
        raise RunError("it is cut short")
    return part


def _dtype(kind: Name) -> str:
    dtype = storage_dtype(kind)
    if dtype is None:
        raise RunError("a storage is of no type that weights have")
    return dtype


def _count(count: int) -> int:
    if not 0 <= count < 2**48:
        raise RunError("a storage has no sensible length")
    return count
