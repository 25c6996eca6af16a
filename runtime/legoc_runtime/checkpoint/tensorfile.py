"""Safetensors files, typed, with errors that say what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import safetensors
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from legoc_runtime.errors import RunError

T = TypeVar("T")

SUFFIX = ".safetensors"

# pickles, and the zips of pickles that torch.save writes
_PICKLES = (b"\x80", b"PK")


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors with a header. Raises OSError or SafetensorError when the disk does not take them."""
    safetensors.torch.save_file(dict(tensors), path, dict(metadata))  # pyright: ignore[reportUnknownMemberType]


def load(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU. Raises RunError when it is damaged or no safetensors file."""
    return _guarded(path, lambda: safetensors.torch.load_file(path))  # pyright: ignore[reportUnknownMemberType]


def metadata(path: Path) -> dict[str, str]:
    """The header of a file. Raises RunError when it is damaged or no safetensors file."""

    def read() -> dict[str, str]:
        with safetensors.safe_open(path, framework="pt") as file:  # pyright: ignore[reportUnknownVariableType]
            return dict(file.metadata() or {})  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

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
    except (OSError, SafetensorError, ValueError) as error:
        if _is_pickle(path):
            raise RunError(
                f"{path} is a pickle, which may run code when loaded; legoc reads {SUFFIX} only",
                help=f"convert it to {SUFFIX} where you trust it",
            ) from error
        raise RunError(
            f"{path} is damaged, or not a {SUFFIX} file: {error}", help="take another checkpoint of the run"
        ) from error


def _is_pickle(path: Path) -> bool:
    """Asked only of what is no safetensors file: those begin with the header's length, which may be the same bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2).startswith(_PICKLES)
