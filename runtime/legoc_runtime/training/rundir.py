"""The run directory: who may write to it, and the build that stands in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from legoc_runtime.checkpoint import clean
from legoc_runtime.contract.manifest import MANIFEST_NAME, SPEC_NAME, Manifest
from legoc_runtime.errors import RunError, UsageError

LOCK_NAME = ".lock"


def check_free(run: Path) -> None:
    """A run stands in a directory of its own, or in a build: never among other files.

    Raises:
        UsageError: the directory is not free.
    """
    if run.exists() and not run.is_dir():
        raise UsageError(f"{run} is not a directory", help="train into another --out")
    if not run.is_dir() or (run / MANIFEST_NAME).is_file():
        return
    if others := [path.name for path in run.iterdir() if path.name != LOCK_NAME]:
        raise UsageError(f"{run} is no run and holds other files ({others[0]})", help="train into another --out")


@contextmanager
def locked(run: Path) -> Generator[None]:
    """Make the run directory, keep other trainings out of it, and clear away what a killed one left.

    Raises:
        UsageError: another process trains there.
        RunError: the directory cannot be made.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(run / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(f"{run} cannot be written: {error.strerror}", help="train into another --out") from error
    try:
        _take(descriptor, run)
        clean(run)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, run: Path) -> None:
    try:
        # the system lets go of it however this process ends
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            f"another process is training into {run}", help="wait for it, or train into another --out"
        ) from error


def write_build_files(manifest: Manifest, spec_text: str, run: Path) -> None:
    """Write manifest and resolved spec, all that sampling needs. The compiler's own adds readable sources."""
    for name, text in ((MANIFEST_NAME, manifest.to_json()), (SPEC_NAME, spec_text)):
        draft = run / f".{name}.tmp"
        draft.write_text(text, encoding="utf-8")
        draft.replace(run / name)
