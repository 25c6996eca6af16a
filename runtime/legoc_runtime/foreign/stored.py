"""The tensors of one file by the names that it gives them, whoever wrote it. Only names and shapes are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.foreign.containers import read_pickled
from legoc_runtime.foreign.origins import Stored
from legoc_runtime.foreign.records import PickledTensor
from legoc_runtime.foreign.state import tensors_in

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SAFETENSORS = "safetensors"


@dataclass(frozen=True, slots=True)
class SafeTensor:
    """A tensor in a safetensors file."""

    path: Path
    name: str
    shape: tuple[int, ...]

    def read(self) -> Tensor:
        """Its numbers, on the CPU. Raises RunError where the file is damaged."""
        return tensorfile.load_some(self.path, [self.name])[self.name]


@dataclass(frozen=True, slots=True)
class TensorOfPickle:
    """A tensor in a file that torch or pickle wrote."""

    record: PickledTensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.record.shape

    def read(self) -> Tensor:
        """Its numbers, a copy of their own on the CPU. Raises RunError where the file does not hold them."""
        import torch

        record = self.record
        dtype: torch.dtype = getattr(torch, record.storage.dtype)
        data = record.span()
        if not data:
            return torch.empty(record.shape, dtype=dtype)
        flat = torch.frombuffer(bytearray(data), dtype=dtype)  # torch warns about a buffer that it must not write to
        return flat.as_strided(record.shape, record.stride).clone(memory_format=torch.contiguous_format)


def stored_in(path: Path) -> Mapping[str, Stored]:
    """The tensors of a safetensors file, or of one that torch or pickle wrote, which is read as data.

    Raises:
        UsageError: there is no such file, or it is none of weights.
        RunError: it is damaged, or a pickle with what no file of weights has; nothing of it was run.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}", help="give a .pth or .safetensors file")
    return in_safetensors(path) if tensorfile.is_safetensors(path) else in_pickle(path)[0]


def in_safetensors(path: Path) -> dict[str, Stored]:
    """Those of a safetensors file. Raises RunError where it is damaged."""
    return {name: SafeTensor(path, name, header.shape) for name, header in tensorfile.headers(path).items()}


def in_pickle(path: Path, part: str | None = None) -> tuple[Mapping[str, Stored], str | None, str]:
    """Those of a file that torch or pickle wrote: tensors, the part of a checkpoint that they are, the kind of file.

    Raises:
        UsageError: it is no file of weights, or has no such part.
        RunError: it is damaged, or has what no file of weights has; nothing of it was run.
    """
    found, container = read_pickled(path)
    try:
        tensors, chosen = tensors_in(found, part)
    except RunError as error:
        help = "give the checkpoint that its authors published"
        raise RunError(f"{path}: {error.message}", help=error.help or help) from error
    return {name: TensorOfPickle(tensor) for name, tensor in tensors.items()}, chosen, container
