"""The migrated checkpoint on the disk: beside its place first, then renamed, so that it is there whole or not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from legoc.build_directory import write_build
from legoc.inspection.origins import MIGRATION_NAME
from legoc.migrate.migration import Migration, origin, to_json
from legoc_runtime.checkpoint import Header, write_checkpoint
from legoc_runtime.checkpoint.tensorfile import reason, save
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.training.resume import stack_record

if TYPE_CHECKING:
    from torch import Tensor

    from legoc.migrate.source import Source
    from legoc_runtime.contract.manifest import Manifest

_ROOM = "make room on the disk, or choose another -o; what was migrated is as it was"
_OF_FILES = frozenset({"version", "files", "tensors"})
"""What a state says of the files beside it, which are others now."""


class LazyFiles(Mapping[str, "Mapping[str, Tensor]"]):
    """Files of a checkpoint whose tensors are made when they are asked for: one file at a time is in memory."""

    def __init__(self, make: Mapping[str, Callable[[], Mapping[str, Tensor]]]) -> None:
        self._make = make

    def __getitem__(self, kind: str) -> Mapping[str, Tensor]:
        return self._make[kind]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)


def default_out(source: Source) -> Path:
    """Where a migrated checkpoint goes unasked: beside its run, or beside its file.

    Raises:
        UsageError: beside it is inside a run.
    """
    if source.run is not None and source.is_file:
        raise UsageError(f"{source.path} lies in a run, which stays as it is", help="say with -o where to write")
    place = source.run or source.path
    suffix = place.suffix if source.is_file else ""
    return place.with_name(f"{place.name.removesuffix(suffix)}-migrated{suffix}")


def check_out(out: Path, source: Source) -> None:
    """Refuse a place that is taken, or inside what is migrated.

    Raises:
        UsageError: says which.
    """
    if os.path.lexists(out):
        raise UsageError(f"{out} is there already", help="choose another -o; a migration never writes over anything")
    around = (source.run or source.path).resolve()
    if out.resolve().is_relative_to(around):
        raise UsageError(f"{out} is inside {around}, which stays as it is", help="choose another -o")
    if source.is_file and out.suffix != source.path.suffix:
        raise UsageError(f"{source.path} is one file, and {out} is none of weights", help=f"-o {out}.safetensors")


def write(
    migration: Migration,
    build: tuple[Manifest, str],
    out: Path,
    files: Mapping[str, Callable[[], Mapping[str, Tensor]]],
) -> None:
    """Write what was migrated: a run with one checkpoint, or one file.

    Args:
        migration: what was done.
        build: the new spec, compiled: its manifest, and its resolved text.
        out: where; nothing is there.
        files: kind -> its tensors.

    Raises:
        RunError: the disk does not take it; nothing is left of it then.
    """
    plan, source = migration.plan, migration.plan.source
    manifest, spec_text = build
    header = Header(spec_text, manifest.spec_hash, source.images, json.dumps(origin(plan), sort_keys=True))
    draft = out.with_name(f".writing-{os.getpid()}-{out.name}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file:
            (kind,) = files
            save(draft, files[kind](), header.metadata(kind))
            draft.chmod(source.path.stat().st_mode & 0o666)
        else:
            write_checkpoint(draft, header, LazyFiles(files), _state(migration, manifest))
            write_build(manifest, spec_text, draft)
            text = json.dumps({**to_json(migration), "out": str(out)}, indent=1, ensure_ascii=False) + "\n"
            (draft / MIGRATION_NAME).write_text(text, encoding="utf-8")
        _put(draft, out)
    except RunError as error:
        raise RunError(f"{out} cannot be written: {error.message}", help=_ROOM) from error
    except (OSError, SafetensorError) as error:
        raise RunError(f"{out} cannot be written: {reason(error)}", help=_ROOM) from error
    finally:
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def _state(migration: Migration, manifest: Manifest) -> dict[str, Any]:
    """The state of the new checkpoint: where the run stood, under the new spec's settings."""
    plan = migration.plan
    was = plan.source.state or {}
    seconds = was.get("seconds", 0.0)
    return {
        **{key: value for key, value in was.items() if key not in _OF_FILES},
        # the sums of the next line of metrics begin anew: they were of other bricks
        "logged_images": plan.source.images,
        "logged_seconds": seconds,
        "seconds": seconds,
        "step": was.get("step", 0),
        "final": plan.source.images >= manifest.train.images,
        **stack_record(manifest, manifest.train),
        "data": was.get("data") if plan.same_data else None,
        "migrated_from": {"path": str(plan.source.path), **origin(plan)},
    }


def _put(draft: Path, out: Path) -> None:
    """To the disk, then to its place, where nothing may have come in the meantime."""
    for path in (draft, draft.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if os.path.lexists(out):
        raise RunError("something else was written there in the meantime")
    draft.rename(out)
