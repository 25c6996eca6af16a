"""Safetensors files, typed, with errors that say what to do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import safetensors
from safetensors import SafetensorError

from legoc_runtime.errors import RunError

if TYPE_CHECKING:  # torch is loaded with the first tensor, so that headers and checksums are read without it
    from torch import Tensor

T = TypeVar("T")

SUFFIX = ".safetensors"

_safe_open: Any = safetensors.safe_open  # its stub leaves what it yields without types

# pickles, and the zips of pickles that torch.save writes
_PICKLES = (b"\x80", b"PK")


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors with a header. Raises OSError or SafetensorError when the disk does not take them."""
    import safetensors.torch

    safetensors.torch.save_file(dict(tensors), path, dict(metadata))  # pyright: ignore[reportUnknownMemberType]


def replace_file(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors with a header so that the file is whole or as it was. Raises OSError when the disk is full."""
    draft = path.with_name(f".{path.name}.tmp")
    try:
        save(draft, tensors, metadata)
        # safetensors makes files that only their owner reads; the directory's rights decide, as for a checkpoint
        draft.chmod(path.parent.stat().st_mode & 0o666)
        draft.replace(path)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    finally:
        draft.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU. Raises RunError when it is damaged or no safetensors file."""
    import safetensors.torch

    return _guarded(path, lambda: safetensors.torch.load_file(path))  # pyright: ignore[reportUnknownMemberType]


def load_some(path: Path, keys: Collection[str]) -> dict[str, Tensor]:
    """Some tensors of a file, on the CPU; those that it does not have are left out. Nothing else of it is read.

    Raises:
        RunError: it is damaged or no safetensors file.
    """

    def read() -> dict[str, Tensor]:
        with _safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys() if name in keys}  # noqa: SIM118 - no mapping

    return _guarded(path, read)


def load_part(path: Path, name: str, part: tuple[slice, ...]) -> Tensor:
    """A part of one tensor of a file, on the CPU: a range of each axis. Nothing else of the file is read.

    Raises:
        RunError: it is damaged, no safetensors file, or has no such tensor.
    """

    def read() -> Tensor:
        with _safe_open(path, framework="pt") as file:
            return file.get_slice(name)[part] if part else file.get_tensor(name)

    return _guarded(path, read)


def tensor_sha256(tensor: Tensor) -> str:
    """SHA-256 of a tensor's bytes, in hexadecimal."""
    import torch

    plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(plain.numpy().data).hexdigest()


def metadata(path: Path) -> dict[str, str]:
    """The header of a file. Raises RunError when it is damaged or no safetensors file."""

    def read() -> dict[str, str]:
        with _safe_open(path, framework="np") as file:
            found: dict[str, str] | None = file.metadata()
        return dict(found or {})

    return _guarded(path, read)


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """What a file's header says of one tensor.

    Attributes:
        dtype: type of its numbers as safetensors names it, e.g. `F32`.
        shape: its shape.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """How many bytes it takes."""
        bits = re.search(r"\d+", self.dtype)  # BOOL names none, and takes a byte
        return self.count * (int(bits[0]) if bits else 8) // 8


def headers(path: Path) -> dict[str, TensorHeader]:
    """Every tensor of a file by its header alone. Raises RunError when it is damaged or no safetensors file."""

    def read() -> dict[str, TensorHeader]:
        with _safe_open(path, framework="np") as file:
            slices = ((str(name), file.get_slice(name)) for name in file.keys())  # noqa: SIM118 - no mapping
            return {name: TensorHeader(str(part.get_dtype()), tuple(part.get_shape())) for name, part in slices}

    return _guarded(path, read)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason(error: OSError | SafetensorError) -> str:
    """An error of the disk in words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _guarded(path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing", help="take another checkpoint of the run") from error
    except (OSError, SafetensorError, ValueError) as error:
        if is_pickle(path):
            raise RunError(
                f"{path} is a pickle, which may run code when loaded; legoc reads {SUFFIX} only",
                help="`legoc import` reads weights of other code out of pickles without running them",
            ) from error
        raise RunError(
            f"{path} is damaged, or not a {SUFFIX} file: {error}",
            help="copy it afresh from where it came, or take another checkpoint of the run",
        ) from error


def is_pickle(path: Path) -> bool:
    """Whether a file begins like a pickle, or like the zip of pickles that torch.save writes.

    Ask only of what is no safetensors file: those begin with the header's length, which may be the same bytes.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2).startswith(_PICKLES)


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors does, whatever its name: the header's length, then a JSON object."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begin = file.read(9)
    length = int.from_bytes(begin[:8], "little")
    return begin[8:] == b"{" and 2 <= length <= path.stat().st_size - 8
