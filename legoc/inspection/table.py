"""An inspection as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from legoc.cost.table import parameter_count, quantity
from legoc.inspection.report import (
    CheckpointFacts,
    FileFacts,
    Inspection,
    NativeFacts,
    Origin,
    StackFacts,
    TensorFacts,
)
from legoc.render.lines import visible

_TITLES = {
    "spec": "a spec",
    "build": "a build",
    "run": "a run",
    "checkpoint": "a checkpoint",
    "weights": "a file of legoc's",
    "tensors": "a safetensors file, not of legoc's",
}
_SHOWN_METADATA = 8
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def table(found: Inspection) -> str:
    """The whole report, ends with a newline."""
    rows = [("path", found.path), ("kind", _TITLES[found.kind])]
    if found.stack is not None:
        rows += _stack(found.stack)
    if found.tensors is not None:
        rows += _tensors(found.tensors)
        rows += _origin(found.tensors.migrated_from)
    rows += _origin(found.migrated_from)
    if found.kind in ("run", "checkpoint"):
        rows.append(("trained", _trained(found)))
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{name:<{width}}{words}" for name, words in rows]
    if found.files:
        lines += ["", *_files(found.files)]
    if any(file.name.startswith("modules/") for file in found.files):
        lines += ["  what stands in modules/ is compared by `legoc build --check`, which needs torch"]
    if found.faults:
        lines += ["", *(f"DAMAGED: {fault}" for fault in found.faults)]
    for native in found.native:
        lines += ["", *_native(native)]
    for checkpoint in found.checkpoints:
        lines += ["", *_checkpoint(checkpoint)]
    return "\n".join(lines) + "\n"


def size(count: int | None) -> str:
    """A number of bytes: `1.2 GiB`, `912 B`; `missing` for None."""
    if count is None:
        return "missing"
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def _stack(stack: StackFacts) -> Iterator[tuple[str, str]]:
    yield "name", f"{stack.name}: {stack.description}" if stack.description else stack.name
    height, width = stack.grid
    classes = "unconditional" if stack.classes is None else f"{stack.classes} classes"
    yield "image", f"{height}x{width}x{stack.channels}, {classes}"
    yield "bricks", ", ".join(stack.bricks)
    yield "parameters", f"{parameter_count(stack.parameters)} ({stack.parameters:,})"
    yield "MACs", f"{quantity(stack.macs)} an evaluation of one image"
    yield "configurations", ", ".join(stack.configurations)
    yield "policies", ", ".join(stack.policies)
    yield "spec hash", stack.spec_hash
    if stack.hashes is not None:
        yield "architecture", stack.hashes.architecture
        yield "training", stack.hashes.training
        yield "sampling", stack.hashes.sampling
    yield "legoc", stack.legoc_version


def _tensors(tensors: TensorFacts) -> Iterator[tuple[str, str]]:
    if tensors.kind is not None:
        yield "holds", f"{tensors.kind}, after {tensors.images:,} images"
    types = ", ".join(f"{count:,} {name}" for name, count in tensors.dtypes.items())
    yield "tensors", f"{tensors.count:,} with {types or 'no'} numbers"
    if tensors.kind is None:
        more = len(tensors.metadata) - _SHOWN_METADATA
        keys = ", ".join(tensors.metadata[:_SHOWN_METADATA]) + (f" and {more} more" if more > 0 else "")
        yield "metadata", keys or "none"


def _origin(origin: Origin | None) -> Iterator[tuple[str, str]]:
    if origin is not None:
        yield "migrated", f"from {origin_words(origin)}"


def origin_words(origin: Origin) -> str:
    """What something was migrated from: `runs/tiny/checkpoints/400 at 400 images, of the spec 0123456789abcdef`."""
    path = "a checkpoint" if origin.path is None else visible(origin.path)
    return f"{path} at {origin.images:,} images, of the spec {visible(origin.spec_hash[:16])}"


def _trained(found: Inspection) -> str:
    images = max((c.images for c in found.checkpoints if c.images is not None), default=None)
    if images is None:
        return "no checkpoint that can be read" if found.checkpoints else "no checkpoint yet"
    if found.stack is None:
        return f"{images:,} images"
    return f"{images:,} of {found.stack.training_images:,} images"


def _files(files: tuple[FileFacts, ...]) -> Iterator[str]:
    width = max((len(file.name) for file in files), default=0)
    for file in files:
        checksum = {True: "  checksum holds", False: "  CHECKSUM DIFFERS", None: ""}[file.checksum]
        yield f"  {file.name:<{width}}  {size(file.bytes):>10}{checksum}"


def _state(found: CheckpointFacts | NativeFacts) -> str:
    if found.damage is not None:
        return "DAMAGED"
    return "every checksum holds" if found.checked else "checksums not compared"


def _native(native: NativeFacts) -> Iterator[str]:
    if native.device is None:
        yield f"native code for backend {native.backend}: {native.damage}"
        return
    yield (
        f"native code for backend {native.backend}: compiled for {visible(native.device)} by torch "
        f"{visible(native.torch or '')}, runs with --trust-native alone; {_state(native)}"
    )
    yield from _files(native.files)


def _checkpoint(checkpoint: CheckpointFacts) -> Iterator[str]:
    if checkpoint.images is None:
        yield f"checkpoint {checkpoint.path}: {checkpoint.damage}"
        return
    final = ", the final one" if checkpoint.final else ""
    yield f"checkpoint at {checkpoint.images:,} images{final}: {', '.join(checkpoint.weights)}; {_state(checkpoint)}"
    if checkpoint.migrated_from is not None:
        yield f"  migrated from {origin_words(checkpoint.migrated_from)}"
    if checkpoint.started_from is not None:
        yield f"  its run began with {checkpoint.started_from}"
    yield from _files(checkpoint.files)
