"""A safetensors file by its header: what legoc wrote, with the stack that it is of, or what something else wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from legoc.driver import spec_hash
from legoc.inspection.checkpoints import Progress, file_facts
from legoc.inspection.origins import origin_of_header
from legoc.inspection.report import Inspection, TensorFacts
from legoc.inspection.stacks import resolved_spec, stack_of_spec
from legoc.policies.record import keeper_of
from legoc_runtime.checkpoint import is_checkpoint
from legoc_runtime.checkpoint.layout import EMA_PREFIX, WEIGHTS, read_state
from legoc_runtime.checkpoint.tensorfile import TensorHeader, headers, metadata
from legoc_runtime.checkpoint.weights import read_header
from legoc_runtime.contract.stack import StackShape, weight_shapes

_SPEC_KEY = "legoc.spec"
_SHOWN_MISFITS = 4


def inspect_tensors(path: Path, *, checksums: bool, progress: Progress) -> Inspection:
    """What a safetensors file holds. Its tensors are not loaded.

    Args:
        path: the file.
        checksums: whether to read it whole and compare its SHA-256, where it lies in its checkpoint.
        progress: called before it is read whole.

    Raises:
        RunError: it is damaged, or no safetensors file at all.
        SpecError: the spec in its header does not check under this version.
    """
    tensors = headers(path)
    described = metadata(path)
    file, _ = file_facts(path, _recorded(path) if checksums else None, progress)
    if _SPEC_KEY not in described:
        facts = _facts(tensors, described, None, None, ())
        return Inspection("tensors", str(path), files=(file,), tensors=facts)
    weights = read_header(path)
    stack, manifest = stack_of_spec(resolved_spec(weights.spec_text, f"{path} (spec in its header)"), keeper_of(path))
    misfits: list[str] = []
    if spec_hash(weights.spec_text) != weights.spec_hash:
        misfits.append("the spec does not have the hash beside it")
    if weights.kind == WEIGHTS or weights.kind.startswith(EMA_PREFIX):
        misfits += _misfits(tensors, manifest.shape)
    origin = None
    try:
        origin = origin_of_header(described)
    except ValueError as error:
        misfits.append(f"its header makes no sense: {error}")
    facts = _facts(tensors, described, weights.kind, weights.images, tuple(misfits[:_SHOWN_MISFITS]))
    facts = replace(facts, migrated_from=origin)
    return Inspection("weights", str(path), stack, (file,), tensors=facts)


def _facts(
    tensors: Mapping[str, TensorHeader],
    described: Mapping[str, str],
    kind: str | None,
    images: int | None,
    misfits: tuple[str, ...],
) -> TensorFacts:
    by_type: dict[str, int] = {}
    for tensor in tensors.values():
        by_type[tensor.dtype] = by_type.get(tensor.dtype, 0) + tensor.count
    return TensorFacts(
        count=len(tensors),
        numbers=sum(by_type.values()),
        dtypes=dict(sorted(by_type.items())),
        kind=kind,
        images=images,
        misfits=misfits,
        metadata=tuple(sorted(described)),
    )


def _misfits(tensors: Mapping[str, TensorHeader], shape: StackShape) -> list[str]:
    """What a file of weights lacks, has too much, or has in another shape than the stack."""
    expected, given = weight_shapes(shape), shape.pretrained
    if given is not None and not given.frozen and not given.weights:  # a spec does not tell those of a module
        tensors = {name: header for name, header in tensors.items() if not name.startswith(f"pretrained.{given.id}.")}
    found = [f"`{name}` is missing" for name in expected if name not in tensors]
    found += [f"`{name}` is of no weight" for name in tensors if name not in expected]
    found += [
        f"`{name}` is {tensors[name].shape}, the stack has {size}"
        for name, size in expected.items()
        if name in tensors and tensors[name].shape != size
    ]
    return found


def _recorded(path: Path) -> str | None:
    """The SHA-256 that the file's checkpoint recorded, where it lies in one."""
    if not is_checkpoint(path.parent):
        return None
    return read_state(path.parent)["files"].get(path.name)
