"""What is compared: a spec from a file, from standard input, of a build or run, or in the header of a file of weights.

A side that cannot be read, or does not check, is `Unreadable` with its diagnostics; it never counts as "no changes".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from legoc.codes import report
from legoc.describe import read_build
from legoc.diagnostics import Diagnostic, Label
from legoc.source import SourceFile, Span
from legoc.spec import check_text
from legoc.spec.files import DISK, Files
from legoc.spec.read import MAX_BYTES, read_source, source_of
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.manifest import SPEC_NAME, is_build
from legoc_runtime.contract.stack import weight_shapes
from legoc_runtime.errors import LegocError

Kind = Literal["spec", "build", "weights"]

STDIN = "-"
SUFFIX = ".safetensors"
STATE_NAME, CHECKPOINTS = "state.json", "checkpoints"
MAX_HEADER_BYTES = 64 * 2**20
SHOWN_MISFITS = 3


@dataclass(frozen=True)
class Side:
    """A spec that can be compared.

    Attributes:
        label: how people call it: `specs/a.yaml`, `main:specs/a.yaml`, `runs/tiny`.
        kind: where the spec comes from.
        path: the file that its places are in.
        text: the text of that file.
        spec: the spec, resolved.
        warnings: what checking it found.
        revision: the state of the repository that it is read from; None for what is there now.
    """

    label: str
    kind: Kind
    path: str
    text: str
    spec: StackSpec
    warnings: tuple[Diagnostic, ...] = ()
    revision: str | None = None

    def shown(self, span: Span) -> Span:
        """A span whose file says which revision it is of."""
        return span if self.revision is None else in_revision(span, self.revision)


@dataclass(frozen=True)
class Unreadable:
    """A side that cannot be compared.

    Attributes:
        label: how people call it.
        diagnostics: why; one error at least. Their files are called by their revision too, as by `Side.shown`.
        revision: the state of the repository that it is read from; None for what is there now.
    """

    label: str
    diagnostics: tuple[Diagnostic, ...]
    revision: str | None = None

    @property
    def in_files(self) -> tuple[Diagnostic, ...]:
        """The diagnostics, with files by their paths alone, as who has this state checked out knows them."""
        if self.revision is None:
            return self.diagnostics
        return tuple(_renamed(found, lambda name: name.removeprefix(f"{self.revision}:")) for found in self.diagnostics)


def read_side(text: str) -> Side | Unreadable:
    """What stands at a path of the command line; `-` is standard input."""
    if text == STDIN:
        name = "<stdin>"
        return side_of(name, "spec", source_of(sys.stdin.buffer.read(MAX_BYTES + 1), name))
    path = Path(text)
    try:
        return _read(path, text)
    except LegocError as error:
        return refused(text, error.message, error.help)
    except (OSError, ValueError) as error:
        return refused(text, f"it cannot be read: {error}", None)


def side_of(
    label: str,
    kind: Kind,
    source: SourceFile | Diagnostic,
    files: Files = DISK,
    revision: str | None = None,
    overrides: Sequence[str] = (),
) -> Side | Unreadable:
    """The side that a text is.

    Args:
        label: how people call it.
        kind: where the spec comes from.
        source: the text, or why there is none.
        files: where what it extends is read from.
        revision: the state of the repository that it is read from.
        overrides: as of `--set`.
    """
    if not isinstance(source, SourceFile):
        return Unreadable(label, (_located(source, revision),), revision)
    found = check_text(source.text, source.name, overrides, files=files)
    if found.spec is None:
        return Unreadable(label, tuple(_located(diagnostic, revision) for diagnostic in found.diagnostics), revision)
    return Side(label, kind, source.name, source.text, found.spec, found.diagnostics, revision)


def refused(label: str, message: str, help: str | None) -> Unreadable:
    """A side that cannot be read at all."""
    return Unreadable(label, (report("LG001", message, Span(SourceFile(label, ""), 0, 0), help=help),))


def in_revision(span: Span, revision: str) -> Span:
    """The span in a file that is called by its revision too, as git does: `main:specs/a.yaml`."""
    return Span(_called(span.file, f"{revision}:{span.file.name}"), span.start, span.end)


@lru_cache(maxsize=32)
def _called(file: SourceFile, name: str) -> SourceFile:
    return SourceFile(name, file.text)


def _located(diagnostic: Diagnostic, revision: str | None) -> Diagnostic:
    return diagnostic if revision is None else _renamed(diagnostic, lambda name: f"{revision}:{name}")


def _renamed(diagnostic: Diagnostic, rename: Callable[[str], str]) -> Diagnostic:
    """The diagnostic with other names of its files, and without an edit, which is of a file that is there."""

    def moved(label: Label) -> Label:
        file = label.span.file
        return Label(Span(_called(file, rename(file.name)), label.span.start, label.span.end), label.text)

    primary = None if diagnostic.primary is None else moved(diagnostic.primary)
    return replace(diagnostic, primary=primary, secondary=tuple(map(moved, diagnostic.secondary)), fix=None)


def _read(path: Path, label: str) -> Side | Unreadable:
    if path.is_dir():
        return _directory(path, label)
    if path.is_file() and (path.suffix.lower() == SUFFIX or is_safetensors(path)):
        return _weights(path, label)
    return side_of(label, "spec", read_source(path))


def _directory(path: Path, label: str) -> Side | Unreadable:
    if (path / STATE_NAME).is_file():
        return _checkpoint(path, label)
    if not is_build(path):
        return refused(label, "this folder is no build, no run and no checkpoint", "name a spec, or one of those")
    _, text = read_build(path)
    return side_of(label, "build", SourceFile(str(path / SPEC_NAME), text))


def _checkpoint(path: Path, label: str) -> Side | Unreadable:
    """A checkpoint directory, by its first file of weights; all of them carry one spec."""
    found = sorted(file for file in path.glob(f"*{SUFFIX}") if not file.stem.startswith("optimizer"))
    if not found:
        return refused(label, "this checkpoint has no file of weights", "take another checkpoint of the run")
    return _weights(next((file for file in found if file.stem == "weights"), found[0]), label)


def _weights(path: Path, label: str) -> Side | Unreadable:
    """A file of weights by its header: the spec in it, which its tensors must fit."""
    header, _ = safetensors_header(path)
    metadata = _mapping(header.pop("__metadata__", {}))
    text = metadata.get("legoc.spec")
    if not isinstance(text, str):
        message = "this file holds tensors, but not weights of legoc: its header has no spec"
        return refused(label, message, "give a file that `legoc train` wrote")
    side = side_of(label, "weights", SourceFile(f"{path} (spec in its header)", text))
    if isinstance(side, Unreadable) or str(metadata.get("legoc.kind", "")).startswith("optimizer"):
        return side
    held = {key: _shape(entry) for key, entry in header.items()}
    side = _with_own_model(side, held)
    expected = weight_shapes(side.spec.shape)
    misfits = [key for key in {**expected, **held} if expected.get(key) != held.get(key)]
    if misfits:
        more = f" and {len(misfits) - SHOWN_MISFITS} more" if len(misfits) > SHOWN_MISFITS else ""
        message = f"its tensors do not fit the spec in its header: {', '.join(misfits[:SHOWN_MISFITS])}{more}"
        return refused(label, message, "take another checkpoint of the run")
    return side


def _with_own_model(side: Side, held: Mapping[str, tuple[object, ...] | None]) -> Side:
    """The side with the weights of a model that trained, where its own code told them: the file holds them."""
    given = side.spec.shape.pretrained
    if given is None or given.frozen or given.weights:
        return side
    prefix = f"pretrained.{given.id}."
    weights = tuple((key.removeprefix(prefix), shape) for key, shape in held.items() if key.startswith(prefix))
    known = replace(given, weights=cast("tuple[tuple[str, tuple[int, ...]], ...]", weights))
    return replace(side, spec=replace(side.spec, shape=replace(side.spec.shape, pretrained=known)))


def _shape(entry: object) -> tuple[object, ...] | None:
    shape = _mapping(entry).get("shape")
    return tuple(cast("list[object]", shape)) if isinstance(shape, list) else None


def safetensors_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where its tensors begin: a length in eight bytes, JSON, tensors.

    Raises:
        ValueError: it is damaged, or none.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER_BYTES, path.stat().st_size - 8):
            raise ValueError(f"damaged, or no {SUFFIX} file")
        data = file.read(length)
    try:
        return dict(_mapping(json.loads(data))), 8 + length
    except (ValueError, RecursionError) as error:
        raise ValueError(f"damaged, or no {SUFFIX} file") from error


def _mapping(data: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors does: the length of the header, then a JSON object."""
    with path.open("rb") as file:
        begin = file.read(9)
    return begin[8:] == b"{" and 2 <= int.from_bytes(begin[:8], "little") <= path.stat().st_size - 8
