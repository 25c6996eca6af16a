"""A checkpoint by its state and its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from legoc.inspection.origins import origin_of_state, started_from
from legoc.inspection.report import CheckpointFacts, FileFacts
from legoc_runtime.checkpoint.layout import EMA_PREFIX, WEIGHTS, check_digest, read_state
from legoc_runtime.checkpoint.tensorfile import SUFFIX
from legoc_runtime.errors import RunError

Progress = Callable[[Path, int], None]
"""Called before a file is read whole, with its path and its size in bytes."""


def no_progress(path: Path, size: int) -> None:
    """Say nothing."""


def checkpoint_facts(checkpoint: Path, checksums: bool, progress: Progress) -> CheckpointFacts:
    """What a checkpoint is. Damage is reported, not raised, so that the others of its run are seen too.

    Args:
        checkpoint: its directory.
        checksums: whether to read its files and compare their SHA-256.
        progress: called before a file is read.
    """
    try:
        state = read_state(checkpoint)
        digests, images = _digests(checkpoint, state), int(state.get("images", -1))
        origin, begun = origin_of_state(state), started_from(state)
    except (RunError, TypeError, ValueError) as error:
        message = error.message if isinstance(error, RunError) else f"{checkpoint}: its state makes no sense: {error}"
        return CheckpointFacts(str(checkpoint), None, False, (), (), checksums, message)
    files: list[FileFacts] = []
    damage: list[str] = []
    for name, digest in digests.items():
        file, fault = file_facts(checkpoint / name, digest if checksums else None, progress)
        files.append(file)
        if fault is not None:
            damage.append(fault)
    kinds = [name.removesuffix(SUFFIX) for name in digests]
    return CheckpointFacts(
        path=str(checkpoint),
        images=images,
        final=bool(state.get("final", False)),
        weights=tuple(kind for kind in kinds if kind == WEIGHTS or kind.startswith(EMA_PREFIX)),
        files=tuple(files),
        checked=checksums,
        damage="; ".join(damage) or None,
        migrated_from=origin,
        started_from=begun,
    )


def file_facts(path: Path, digest: str | None, progress: Progress) -> tuple[FileFacts, str | None]:
    """A file, and what is wrong with it, or None.

    Args:
        path: the file.
        digest: the SHA-256 that it should have; None reads nothing.
        progress: called before the file is read.
    """
    if not path.is_file():
        return FileFacts(path.name, None), f"{path} is missing"
    size = path.stat().st_size
    if digest is None:
        return FileFacts(path.name, size), None
    progress(path, size)
    try:
        check_digest(path, digest)
    except RunError as error:
        return FileFacts(path.name, size, False), error.message
    return FileFacts(path.name, size, True), None


def _digests(checkpoint: Path, state: dict[str, Any]) -> dict[str, str]:
    """File name -> SHA-256. Raises RunError where a name is none: a state may come from anywhere."""
    files: object = state.get("files")
    digests = cast("dict[str, str]", files) if isinstance(files, dict) else {}
    if not digests or any(Path(name).name != name for name in digests):
        raise RunError(f"{checkpoint}: its state names no files of it")
    return digests
