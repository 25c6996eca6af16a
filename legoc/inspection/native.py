"""Native code in a build by its index: what it is for, and whether its files are those that were built. Runs none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from legoc.inspection.checkpoints import Progress
from legoc.inspection.report import FileFacts, NativeFacts
from legoc_runtime.contract.native import INDEX_NAME, NATIVE, NativeFile, measure, native_folder, read_index
from legoc_runtime.errors import LegocError


def native_facts(build: Path, checksums: bool, progress: Progress) -> Iterator[NativeFacts]:
    """The native code of each backend in a build directory or run. Damage is reported, not raised.

    Args:
        build: the directory.
        checksums: whether to read the files and compare their SHA-256.
        progress: called before a file is read.
    """
    for index in sorted((build / NATIVE).glob(f"*/{INDEX_NAME}")):
        yield _facts(build, index.parent.name, checksums, progress)


def _facts(build: Path, backend: str, checksums: bool, progress: Progress) -> NativeFacts:
    again = f"`legoc build {build} --backend {backend}` makes it again"
    try:
        index = read_index(build, backend)
    except LegocError as error:
        return NativeFacts(backend, None, None, (), checksums, f"{error.message}; {again}")
    found = [_file(build, backend, file, checksums, progress) for file in index.files]
    damage = [fault for _, fault in found if fault is not None]
    machine = index.environment
    files = tuple(facts for facts, _ in found)
    return NativeFacts(
        backend, machine.device, machine.torch, files, checksums, "; ".join([*damage, again]) if damage else None
    )


def _file(
    build: Path, backend: str, file: NativeFile, checksums: bool, progress: Progress
) -> tuple[FileFacts, str | None]:
    """A file of the index, and what is wrong with it."""
    folder = native_folder(build, backend)
    path, name = folder / file.name, f"{NATIVE}/{backend}/{file.name}"
    if not path.resolve().is_relative_to(folder.resolve()):
        return FileFacts(name, None), f"{folder / INDEX_NAME} names a file outside its folder: {file.name}"
    try:
        size = path.stat().st_size
        if not checksums:
            return FileFacts(name, size), None
        progress(path, size)
        whole = measure(path, file.name) == file
    except OSError as error:
        return FileFacts(name, None), f"{path} cannot be read: {error.strerror}"
    return FileFacts(name, size, whole), None if whole else f"{path} is not the file that was built"
