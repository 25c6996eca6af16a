"""Finding out what stands at a path. Reads headers and checksums; opens no pickle and loads no tensor."""

from __future__ import annotations

from pathlib import Path

from legoc.build_directory import MODULES
from legoc.inspection.checkpoints import Progress, checkpoint_facts, no_progress
from legoc.inspection.native import native_facts
from legoc.inspection.origins import MIGRATION_NAME, origin_of_run
from legoc.inspection.report import FileFacts, Inspection
from legoc.inspection.stacks import source_faults, stack_of_build, stack_of_spec
from legoc.inspection.tensors import inspect_tensors
from legoc.spec import load_spec
from legoc_runtime.checkpoint import checkpoints, is_checkpoint
from legoc_runtime.checkpoint.layout import CHECKPOINTS
from legoc_runtime.checkpoint.tensorfile import SUFFIX, is_pickle, is_safetensors
from legoc_runtime.contract.manifest import MANIFEST_NAME, SPEC_NAME
from legoc_runtime.errors import UsageError
from legoc_runtime.interop.folder import STACK_FOLDER, WEIGHTS_NAME, exported_weights

METRICS = "metrics.jsonl"

_PICKLE_SUFFIXES = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"}
_KINDS = "give a spec, a build, a run, a checkpoint or a .safetensors file"


def inspect_path(path: Path, *, checksums: bool = True, progress: Progress = no_progress) -> Inspection:
    """What stands at a path.

    Args:
        path: a spec, a build or run directory, a checkpoint directory, or a .safetensors file.
        checksums: whether to read checkpoints and native code whole and compare their SHA-256.
        progress: called before a file is read whole, with its path and its size in bytes.

    Raises:
        UsageError: nothing is there, or nothing that legoc knows; a pickle is named and never opened.
        SpecError: a spec does not check.
        RunError: a build or a file is damaged so that it cannot be said what it is.
    """
    if path.is_dir():
        return _directory(path, checksums, progress)
    if not path.exists():
        raise UsageError(f"there is nothing at {path}", help=_KINDS)
    if not path.is_file():
        raise UsageError(f"{path} is not a file", help=_KINDS)
    if path.suffix.lower() == SUFFIX or is_safetensors(path):
        return inspect_tensors(path, checksums=checksums, progress=progress)
    if path.suffix.lower() in _PICKLE_SUFFIXES or is_pickle(path):
        raise UsageError(
            f"{path} is, by its name or first bytes, a pickle or an archive, which is not inspected: "
            "loading a pickle may run code",
            help="`legoc import --check-only` says whether it is a stack, and reads its weights without running it",
        )
    if path.suffix.lower() in (".json", ".jsonl"):
        raise UsageError(f"{path} is one file of a build or run", help=f"inspect its directory, {path.parent}")
    stack, _ = stack_of_spec(load_spec(path))
    return Inspection("spec", str(path), stack, (FileFacts(path.name, path.stat().st_size),))


def _directory(path: Path, checksums: bool, progress: Progress) -> Inspection:
    if is_checkpoint(path):
        run = path.parent.parent
        known = path.parent.name == CHECKPOINTS and (run / MANIFEST_NAME).is_file()
        stack, faults = stack_of_build(run) if known else (None, [])
        found = (checkpoint_facts(path, checksums, progress),)
        return Inspection("checkpoint", str(path), stack, checkpoints=found, faults=tuple(faults))
    if not (path / MANIFEST_NAME).is_file():
        inside = " (samples lie in it: see its samples.json)" if (path / "samples.json").is_file() else ""
        inside = f" (`legoc export` wrote it: see {STACK_FOLDER}/{WEIGHTS_NAME})" if exported_weights(path) else inside
        raise UsageError(f"{path} is neither a build, a run nor a checkpoint{inside}", help=_KINDS)
    stack, faults = stack_of_build(path)
    found = tuple(checkpoint_facts(checkpoint, checksums, progress) for checkpoint in checkpoints(path))
    is_run = bool(found) or (path / METRICS).is_file() or (path / CHECKPOINTS).is_dir()
    faults += source_faults(path, (*stack.configurations, *stack.training_programs), needed=not is_run)
    origin = None
    try:
        origin = origin_of_run(path)
    except ValueError as error:
        faults.append(f"{path / MIGRATION_NAME}: {error}")
    kind = "run" if is_run else "build"
    return Inspection(
        kind,
        str(path),
        stack,
        _files(path),
        found,
        faults=tuple(faults),
        migrated_from=origin,
        native=tuple(native_facts(path, checksums, progress)),
    )


def _files(directory: Path) -> tuple[FileFacts, ...]:
    named = [directory / name for name in (MANIFEST_NAME, SPEC_NAME, METRICS, MIGRATION_NAME)]
    modules = sorted((directory / MODULES).glob("*.py"))
    return tuple(
        FileFacts(file.relative_to(directory).as_posix(), file.stat().st_size)
        for file in (*named, *modules)
        if file.is_file()
    )
