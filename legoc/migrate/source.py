"""The checkpoint that is migrated: a run's newest, one directory, or one file of weights. Never written to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from legoc_runtime.checkpoint import find_weights, read_state
from legoc_runtime.checkpoint.layout import (
    CHECKPOINTS,
    EMA_PREFIX,
    OPTIMIZER,
    WEIGHTS,
    check_digest,
    is_optimizer,
    shards_of,
)
from legoc_runtime.checkpoint.tensorfile import SUFFIX, load, sha256
from legoc_runtime.checkpoint.weights import read_header
from legoc_runtime.errors import RunError

if TYPE_CHECKING:
    from torch import Tensor

_OTHER = "migrate another checkpoint of the run"


@dataclass(frozen=True)
class Source:
    """A checkpoint, or one file of weights.

    Attributes:
        path: the checkpoint's directory, or the file.
        spec_text: the resolved spec in its headers.
        spec_hash: its SHA-256.
        images: images trained on.
        files: kind (`weights`, `ema-RATE`, `optimizer`) -> file.
        state: its `state.json`; None for one file.
    """

    path: Path
    spec_text: str
    spec_hash: str
    images: int
    files: Mapping[str, Path]
    state: Mapping[str, Any] | None

    @property
    def is_file(self) -> bool:
        """Whether this is one file of weights rather than a checkpoint."""
        return self.state is None

    @property
    def weights(self) -> tuple[str, ...]:
        """The kinds of files whose tensors are a whole stack's, the weights themselves first."""
        kinds = [kind for kind in self.files if not is_optimizer(kind)]
        return tuple(sorted(kinds, key=lambda kind: kind != WEIGHTS))

    @property
    def run(self) -> Path | None:
        """The run that the checkpoint lies in; None where it lies in none."""
        holder = self.path.parent if self.is_file else self.path
        return holder.parent.parent if holder.parent.name == CHECKPOINTS else None

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """File name -> SHA-256, as the files are; those of a checkpoint are held against what its state says.

        Raises:
            RunError: a file is missing or damaged.
        """
        if self.state is None:
            return {path.name: sha256(path) for path in self.files.values()}
        recorded = cast("dict[str, str]", self.state["files"])
        for path in self.files.values():
            check_digest(path, recorded[path.name])
        return {path.name: recorded[path.name] for path in self.files.values()}

    def read(self, kind: str) -> dict[str, Tensor]:
        """The tensors of a file, on the CPU; of the optimizer also those that several processes wrote apart.

        Raises:
            RunError: it is damaged.
        """
        _ = self.digests
        names = [file.name for file in self.files.values()]
        if kind == OPTIMIZER and shards_of(names):
            from legoc_runtime.checkpoint.shards import read_optimizer

            return read_optimizer(self.path, names)
        return load(self.files[kind])


def find_source(path: Path) -> Source:
    """The checkpoint at a path.

    Args:
        path: a run (its newest checkpoint is taken), a checkpoint directory, or a .safetensors file of weights.

    Raises:
        UsageError: there is no checkpoint.
        RunError: it is damaged, or holds what this version does not know.
    """
    found = find_weights(path) if path.is_file() else find_weights(path, ema="none")
    if path.is_file():
        return Source(path, found.spec_text, found.spec_hash, found.images, {found.kind: path}, None)
    checkpoint = found.path.parent
    state = read_state(checkpoint)
    files = {name.removesuffix(SUFFIX): checkpoint / name for name in cast("dict[str, str]", state["files"])}
    for kind, file in files.items():
        if kind != WEIGHTS and not is_optimizer(kind) and not kind.startswith(EMA_PREFIX):
            raise RunError(f"{file}: this version does not know what it holds", help="migrate it with a newer legoc")
        if read_header(file).spec_hash != found.spec_hash:
            raise RunError(f"{file} is of another spec than {found.path.name} beside it", help=_OTHER)
    return Source(checkpoint, found.spec_text, found.spec_hash, found.images, files, state)
