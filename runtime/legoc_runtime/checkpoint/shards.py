"""State that lies over several processes: each writes its own rows, and any number of processes reads them.

Through torch.distributed.checkpoint, which plans who writes what and finds the rows that somebody needs, but into
safetensors, one file a process: PyTorch's own format keeps a pickle beside its tensors, and no file of legoc is one.
Where the rows of a tensor belong stands in the header of the file that holds them.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import Size, Tensor
from torch.distributed import checkpoint as _dcp
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.futures import Future

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.checkpoint.layout import OPTIMIZER, shard_name, shards_of
from legoc_runtime.checkpoint.write import Header
from legoc_runtime.errors import RunError

PLACES = "legoc.places"
"""In a header: JSON of tensor -> where its rows begin, in each axis."""

dcp: Any = _dcp  # typed in part


def write_shard(folder: Path, rank: int, size: int, header: Header, tensors: Mapping[str, Tensor]) -> str:
    """Write this process's rows; called by all of them together.

    Args:
        folder: that all of them see.
        rank: which one this is.
        size: how many there are.
        header: what the headers of all files say.
        tensors: name -> DTensor.

    Returns:
        SHA-256 of this process's file.

    Raises:
        OSError: the disk of one of them does not take it; raised in all.
    """
    path = folder / shard_name(rank, size)
    try:
        dcp.save(dict(tensors), storage_writer=_Writer(path, header), planner=dcp.DefaultSavePlanner())
    except CheckpointException as error:
        found = [_reason(failure[0]) for failure in error.failures.values()]
        raise OSError("; ".join(dict.fromkeys(found))) from error
    return tensorfile.sha256(path)


def read_shards(folder: Path, names: Collection[str], into: Mapping[str, Tensor]) -> None:
    """Fill tensors from the files of any number of processes. Each process reads the rows that it needs, by itself.

    Args:
        folder: the checkpoint.
        names: the files.
        into: name -> tensor: whole ones, or DTensors of which this process's rows are filled.

    Raises:
        RunError: a file is damaged, or a tensor is missing or of another shape.
    """
    reader = _Reader([folder / name for name in names])
    known = reader.sizes()
    for name, tensor in into.items():
        if known.get(name) != tensor.shape:
            raise RunError(f"{folder} holds another stack's state: {name}", help="take the checkpoint of this spec")
    with warnings.catch_warnings():
        # each reads for itself: that nobody is asked is meant
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        dcp.load(dict(into), storage_reader=reader, no_dist=True)


def read_optimizer(folder: Path, names: Collection[str]) -> dict[str, Tensor]:
    """The whole state of the optimizer, wherever it lies, on the CPU.

    Args:
        folder: the checkpoint.
        names: its files.

    Raises:
        RunError: a file is damaged.
    """
    found = tensorfile.load(folder / f"{OPTIMIZER}{tensorfile.SUFFIX}")
    if shards := shards_of(names):
        sizes = _Reader([folder / name for name in shards]).sizes()
        whole = {name: torch.empty(size, dtype=torch.float32) for name, size in sizes.items()}
        read_shards(folder, shards, whole)
        found |= whole
    return found


def _reason(error: object) -> str:
    return tensorfile.reason(error) if isinstance(error, OSError | SafetensorError) else str(error)


class _Writer(StorageWriter):
    """Writes what the plan gives this process into one safetensors file."""

    def __init__(self, path: Path, header: Header) -> None:
        super().__init__()
        self._path, self._header = path, header

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        pass

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        pass

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        return plans

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        tensors = {item.index.fqn: cast("Tensor", planner.resolve_data(item)).detach().cpu() for item in plan.items}
        places = {item.index.fqn: [*(item.index.offset or ())] for item in plan.items}
        metadata = self._header.metadata(self._path.name.removesuffix(tensorfile.SUFFIX))
        held = {name: tensor.contiguous() for name, tensor in tensors.items()}
        tensorfile.save(self._path, held, {**metadata, PLACES: json.dumps(places)})
        self._path.chmod(self._path.parent.stat().st_mode & 0o666)
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        done: Future[list[WriteResult]] = Future()
        results = [WriteResult(item.index, tensors[item.index.fqn].nbytes, None) for item in plan.items]
        done.set_result(results)
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Nothing: headers say it all, where PyTorch's own writer would leave a pickle."""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows of one tensor in a file."""

    path: Path
    begin: tuple[int, ...]
    shape: tuple[int, ...]


class _Reader(StorageReader):
    """Reads what plans ask for out of safetensors files, by their headers."""

    def __init__(self, paths: Collection[Path]) -> None:
        super().__init__()
        self._pieces: dict[str, list[_Piece]] = {}
        for path in paths:
            places = cast("dict[str, list[int]]", json.loads(tensorfile.metadata(path).get(PLACES, "{}")))
            for name, held in tensorfile.headers(path).items():
                piece = _Piece(path, tuple(places.get(name, [0] * len(held.shape))), held.shape)
                if prod(piece.shape):
                    self._pieces.setdefault(name, []).append(piece)

    def sizes(self) -> dict[str, Size]:
        """Tensor -> its whole shape."""
        return {
            name: Size(max(piece.begin[axis] + piece.shape[axis] for piece in pieces) for axis in range(len(first)))
            for name, pieces in self._pieces.items()
            for first in (pieces[0].shape,)
        }

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        pass

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        sizes = self.sizes()
        return Metadata(
            {
                name: TensorStorageMetadata(
                    TensorProperties(dtype=torch.float32),
                    sizes[name],
                    [ChunkStorageMetadata(Size(piece.begin), Size(piece.shape)) for piece in pieces],
                )
                for name, pieces in self._pieces.items()
            }
        )

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        pass

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        for item in plan.items:
            piece = self._holder(item.storage_index)
            rows = tuple(slice(at, at + length) for at, length in zip(item.storage_offsets, item.lengths, strict=True))
            target = planner.resolve_tensor(item).detach()
            target.copy_(tensorfile.load_part(piece.path, item.storage_index.fqn, rows))
            planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def _holder(self, index: MetadataIndex) -> _Piece:
        begin = tuple(index.offset or ())
        return next(piece for piece in self._pieces[index.fqn] if piece.begin == begin)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return True
