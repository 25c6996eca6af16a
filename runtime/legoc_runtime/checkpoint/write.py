"""Writing and removing checkpoints, so that what stands there is whole at any moment."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.checkpoint.layout import (
    AVERAGES,
    CHECKPOINTS,
    OPTIMIZER,
    STATE_NAME,
    SUPERSEDED,
    checkpoints,
    directory,
    read_state,
    write_state,
)
from legoc_runtime.errors import RunError

if TYPE_CHECKING:
    from torch import Tensor

_UNFINISHED = re.compile(r"\.(writing|removing)-.*")


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of every file says beside its kind, under `legoc.*`.

    Attributes:
        spec_text: the resolved spec.
        spec_hash: its SHA-256.
        images: images trained on.
        migrated_from: JSON about what the tensors were carried over from; empty where they were trained as they are.
        imported_from: JSON about the file of other code that they come from; empty where legoc trained them.
        started_from: JSON about the weights that their run began with; empty where its seed drew them.
    """

    spec_text: str
    spec_hash: str
    images: int
    migrated_from: str = ""
    imported_from: str = ""
    started_from: str = ""

    def metadata(self, kind: str) -> dict[str, str]:
        """The header of a file that holds `kind`."""
        origins = {
            "legoc.migrated_from": self.migrated_from,
            "legoc.imported_from": self.imported_from,
            "legoc.started_from": self.started_from,
        }
        return {
            "legoc.spec": self.spec_text,
            "legoc.spec_hash": self.spec_hash,
            "legoc.images": str(self.images),
            "legoc.kind": kind,
            **{key: text for key, text in origins.items() if text},
        }


def write_checkpoint(
    run: Path,
    header: Header,
    files: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    *,
    folder: str = CHECKPOINTS,
    shards: Mapping[str, str] | None = None,
) -> Path:
    """Write a checkpoint: into a hidden directory, to the disk, then renamed.

    Args:
        run: the run directory.
        header: what the files' headers say; its `images` names the checkpoint.
        files: kind (`weights`, `ema-RATE`, `optimizer`) -> tensors.
        state: what `state.json` says besides; JSON-ready.
        folder: of the run, `CHECKPOINTS` or `AVERAGES`.
        shards: file -> SHA-256 of what several processes wrote into its draft already (`training/sharded_save.py`).

    Returns:
        the checkpoint directory.

    Raises:
        RunError: the disk is full or cannot be written; earlier checkpoints are as they were.
    """
    final = directory(run, header.images, folder)
    draft = draft_of(final)
    try:
        if not shards:
            draft.mkdir(parents=True)
        _fill(draft, header, files, state, shards or {})
        if final.exists():  # a damaged one, which a run continued from before it has reached again
            _remove(final)
        draft.rename(final)
        _to_disk(final.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise not_written(run, final, tensorfile.reason(error)) from error
    return final


def draft_of(final: Path) -> Path:
    """Where a checkpoint is written before it stands whole under its name."""
    return final.with_name(f".writing-{final.name}")


def not_written(run: Path, final: Path, reason: str) -> RunError:
    """The error of a checkpoint that the disk does not take."""
    whole = checkpoints(run)
    last = f"; the last checkpoint, {whole[-1]}, is untouched" if whole else ""
    return RunError(
        f"checkpoint {final} cannot be written: {reason}{last}",
        help="make room on the disk, then continue with --resume auto",
    )


def prune(run: Path, *, keep: int = 3, every: int | None = None) -> None:
    """Remove all but the last `keep` checkpoints, the final ones (those whose state says `final`) and the milestones.

    Args:
        run: the run directory.
        keep: how many of the newest stay.
        every: the first checkpoint in every so many images is a milestone; None for no milestones.

    Raises:
        RunError: one cannot be removed, or its state cannot be read.
    """
    before = 0
    for checkpoint in checkpoints(run)[:-keep]:
        images = int(checkpoint.name)
        # milestones stay, so that what was the first of its span is so ever after
        milestone = every is not None and before // every < images // every
        before = images
        if milestone or read_state(checkpoint).get("final", False):
            continue
        try:
            _remove(checkpoint)
        except OSError as error:
            raise RunError(f"checkpoint {checkpoint} cannot be removed: {tensorfile.reason(error)}") from error


def set_aside(run: Path, images: int) -> tuple[Path, ...]:
    """Move the checkpoints after so many images to `superseded/`, and remove the averages kept after them.

    A run that goes on from an earlier checkpoint takes another course: those of the old one would count as its newest.
    Averages are made again on the way.

    Returns:
        where the checkpoints are now.

    Raises:
        RunError: the run directory cannot be written.
    """
    moved: list[Path] = []
    try:
        for checkpoint in checkpoints(run):
            if int(checkpoint.name) > images:
                aside = run / SUPERSEDED / checkpoint.name
                while aside.exists():  # gone back behind before
                    aside = aside.with_name(f"{aside.name}-again")
                aside.parent.mkdir(exist_ok=True)
                checkpoint.rename(aside)
                moved.append(aside)
        for averages in checkpoints(run, AVERAGES):
            if int(averages.name) > images:
                _remove(averages)
    except OSError as error:
        raise RunError(f"{run} cannot be written: {tensorfile.reason(error)}") from error
    return tuple(moved)


def clean(run: Path) -> None:
    """Remove what a killed process left half written or half removed."""
    for root in (run / CHECKPOINTS, run / AVERAGES):
        for path in root.iterdir() if root.is_dir() else ():
            if _UNFINISHED.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)


def _fill(
    draft: Path,
    header: Header,
    files: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    shards: Mapping[str, str],
) -> None:
    digests: dict[str, str] = {}
    each: dict[str, dict[str, str]] = {}
    for kind, tensors in files.items():
        path = draft / f"{kind}{tensorfile.SUFFIX}"
        tensorfile.save(path, tensors, header.metadata(kind))
        # safetensors makes files that only their owner reads; the user's umask decides, as it did for the directory
        path.chmod(draft.stat().st_mode & 0o666)
        _to_disk(path)
        digests[path.name] = tensorfile.sha256(path)
        if kind != OPTIMIZER:  # that one is never read in part
            each[path.name] = {key: tensorfile.tensor_sha256(tensor) for key, tensor in tensors.items()}
    # last: a directory without it is no checkpoint
    write_state(draft, {"images": header.images, **state, "files": {**digests, **shards}, "tensors": each})
    _to_disk(draft / STATE_NAME)
    _to_disk(draft)


def _remove(checkpoint: Path) -> None:
    # renamed first: a checkpoint that is half gone must not look like one
    doomed = checkpoint.with_name(f".removing-{checkpoint.name}")
    shutil.rmtree(doomed, ignore_errors=True)
    checkpoint.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
