"""Build directories: what is written where, and which is the newest.

takes: Manifest, the resolved spec's text
gives: files
may import: `legoc.sources`, which needs torch, only to write
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from legoc_runtime.contract.manifest import MANIFEST_NAME, SPEC_NAME, Manifest, is_build
from legoc_runtime.errors import RunError, UsageError

MODULES = "modules"
"""Folder of the readable sources in a build directory."""

BUILDS = "build"
RUNS = "runs"
CHECKPOINTS = "checkpoints"


def check_free(directory: Path) -> None:
    """Refuse to build over what is no build of ours.

    Raises:
        UsageError: `directory` is a file, or holds files and is not a build.
    """
    help = "build into another directory with -o"
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is not a directory", help=help)
    if not directory.is_dir() or not any(directory.iterdir()) or is_build(directory):
        return
    other = next(path.name for path in sorted(directory.iterdir()))
    raise UsageError(f"{directory} is no build and holds other files ({other})", help=help)


def write_build(manifest: Manifest, spec_text: str, directory: Path) -> None:
    """Write manifest, resolved spec and readable sources, byte-identical for the same spec.

    Files appear whole or not at all.

    Files of other kinds in the directory (a run's checkpoints) stay.

    Raises:
        RunError: the directory cannot be written.
    """
    from legoc.sources import module_sources  # the sources are linked on the meta device, which needs torch

    files = {MANIFEST_NAME: manifest.to_json(), SPEC_NAME: spec_text}
    sources = module_sources(manifest)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{MODULES}-", dir=directory))
        try:
            for name, text in sources.items():
                _write(fresh / name, text)
            shutil.rmtree(directory / MODULES, ignore_errors=True)
            fresh.chmod(0o755)
            fresh.rename(directory / MODULES)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        for name, text in files.items():
            temporary = directory / f".{name}.tmp"
            _write(temporary, text)
            os.replace(temporary, directory / name)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise RunError(f"the build cannot be written to {directory}: {error.strerror}") from error


def newest_build(root: Path) -> Path:
    """The build directory under `root`/build whose manifest is newest.

    Raises:
        UsageError: there is none.
    """
    return _newest(root / BUILDS, "build", "make one with `legoc build SPEC`")


def newest_run(root: Path) -> Path:
    """The run directory under `root`/runs with the newest checkpoint.

    Raises:
        UsageError: there is none.
    """
    return _newest(root / RUNS, "run", "make one with `legoc train`", holds=CHECKPOINTS)


def _newest(folder: Path, kind: str, help: str, *, holds: str = MANIFEST_NAME) -> Path:
    found = [path.parent for path in folder.glob(f"*/{MANIFEST_NAME}") if (path.parent / holds).exists()]
    if not found:
        raise UsageError(f"there is no {kind} under {folder}", help=help)
    return max(found, key=lambda directory: (_last_change(directory), directory.name))


def _last_change(directory: Path) -> int:
    checkpoints = directory / CHECKPOINTS
    marks = [directory / MANIFEST_NAME, *([checkpoints] if checkpoints.is_dir() else [])]
    return max(mark.stat().st_mtime_ns for mark in marks)


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
