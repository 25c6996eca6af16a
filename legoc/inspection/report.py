"""An inspection as data: what was found at a path."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from legoc.hashes import SpecHashes

INSPECT_VERSION = 1
"""Version of the JSON form."""

Kind = Literal["spec", "build", "run", "checkpoint", "weights", "tensors"]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file.

    Attributes:
        name: its path within what is inspected.
        bytes: its size; None where it is missing.
        checksum: whether it has the SHA-256 that its checkpoint recorded; None where none is recorded or none was read.
    """

    name: str
    bytes: int | None
    checksum: bool | None = None


@dataclass(frozen=True, slots=True)
class StackFacts:
    """The stack that a spec, build or checkpoint is of.

    Attributes:
        name: its name.
        description: one line for people.
        spec_hash: SHA-256 of the resolved spec.
        hashes: of the architecture, of training and of sampling; None where the spec does not check under this version.
        legoc_version: version of the compiler that wrote the build, or this one for a spec.
        grid: height and width, in pixels.
        channels: channels of the image.
        classes: number of classes, or None.
        parameters: trainable parameters.
        macs: multiply-accumulates of one image through all bricks.
        bricks: ids, bottom to top.
        configurations: names of those in the build, or of those that building would make; bricks joined by `+`.
        training_programs: names of the programs that training runs: `training`, and one a stage or dropped set of
            bricks that differs from it.
        policies: names of the skip policies that can be asked for.
        training_images: images that the spec trains on in all.
    """

    name: str
    description: str
    spec_hash: str
    hashes: SpecHashes | None
    legoc_version: str
    grid: tuple[int, int]
    channels: int
    classes: int | None
    parameters: int
    macs: int
    bricks: tuple[str, ...]
    configurations: tuple[str, ...]
    training_programs: tuple[str, ...]
    policies: tuple[str, ...]
    training_images: int


@dataclass(frozen=True, slots=True)
class Origin:
    """What `legoc migrate` made something of.

    Attributes:
        spec_hash: SHA-256 of the resolved spec that it was trained under.
        images: images that it was trained on under that spec.
        path: the checkpoint as it was called then; None where that is not recorded.
    """

    spec_hash: str
    images: int
    path: str | None


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """One checkpoint.

    Attributes:
        path: its directory.
        images: images trained on.
        final: whether the run ended with it.
        weights: kinds of weights in it: `weights`, `ema-RATE`.
        files: its files, with whether they have their checksums.
        checked: whether the checksums were compared.
        damage: what is wrong with it, or None.
        migrated_from: where `legoc migrate` took it from; None where training wrote it.
        started_from: the file whose weights its run began with, and its SHA-256; None where its seed drew them.
    """

    path: str
    images: int | None
    final: bool
    weights: tuple[str, ...]
    files: tuple[FileFacts, ...]
    checked: bool
    damage: str | None
    migrated_from: Origin | None = None
    started_from: str | None = None


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """The tensors of one file, by its header.

    Attributes:
        count: how many tensors.
        numbers: numbers in all of them.
        dtypes: numbers by type, e.g. `F32`.
        kind: `weights`, `ema-RATE` or `optimizer` in a file of legoc's, else None.
        images: images trained on, in a file of legoc's, else None.
        misfits: tensors that are missing for, or unknown to, the stack in the header, up to the first few.
        metadata: keys of the header's metadata.
        migrated_from: where `legoc migrate` took them from, or None.
    """

    count: int
    numbers: int
    dtypes: dict[str, int]
    kind: str | None
    images: int | None
    misfits: tuple[str, ...]
    metadata: tuple[str, ...]
    migrated_from: Origin | None = None


@dataclass(frozen=True, slots=True)
class NativeFacts:
    """Native code of one backend in a build, which nothing runs without `--trust-native`.

    Attributes:
        backend: whose it is, e.g. `aoti`.
        device: what it was compiled for, e.g. `cpu`, `cuda sm_90`; None where its index cannot be read.
        torch: version of PyTorch that compiled it; None likewise.
        files: its files, with whether they have their checksums.
        checked: whether the checksums were compared.
        damage: what is wrong with it, or None.
    """

    backend: str
    device: str | None
    torch: str | None
    files: tuple[FileFacts, ...]
    checked: bool
    damage: str | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What stands at a path.

    Attributes:
        kind: what it is; `weights` is a file of legoc's, `tensors` a safetensors file of something else.
        path: where.
        stack: the stack that it is of, where it says so.
        files: its files besides checkpoints.
        checkpoints: its checkpoints, oldest first.
        tensors: what the file holds, for `weights` and `tensors`.
        faults: where a build is not what its spec says, a sentence each.
        migrated_from: where `legoc migrate` took a run from, however long it was trained since; None where nowhere.
        native: the native code in a build or run, a backend each.
    """

    kind: Kind
    path: str
    stack: StackFacts | None = None
    files: tuple[FileFacts, ...] = ()
    checkpoints: tuple[CheckpointFacts, ...] = ()
    tensors: TensorFacts | None = None
    faults: tuple[str, ...] = ()
    migrated_from: Origin | None = None
    native: tuple[NativeFacts, ...] = ()

    @property
    def damage(self) -> tuple[str, ...]:
        """What is wrong, a sentence each; empty when nothing is."""
        found = list(self.faults)
        found += [part.damage for part in (*self.checkpoints, *self.native) if part.damage is not None]
        found += [
            f"{self.path}: {file.name} does not have its checksum" for file in self.files if file.checksum is False
        ]
        if self.tensors is not None and self.tensors.misfits:
            found.append(f"{self.path} does not fit the spec in its header: {'; '.join(self.tensors.misfits)}")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data, with its version."""
        return {"inspect_version": INSPECT_VERSION, **asdict(self), "damage": list(self.damage)}
