"""A file as git compares it line by line: a spec resolved, a file of weights by its header and tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from legoc.codes import report
from legoc.diagnostics import Diagnostic
from legoc.review.sides import is_safetensors, safetensors_header
from legoc.source import SourceFile, Span
from legoc.spec import check_text, resolved_yaml
from legoc.spec.check import CheckResult
from legoc.spec.files import Files
from legoc.spec.find import is_whole

CHUNK_BYTES = 2**20
HASH_DIGITS = 16


@dataclass
class NoFiles:
    """No file at all: git hands over one file of a revision, not what it extends there.

    Attributes:
        asked: whether one was asked for.
    """

    asked: bool = field(default=False)

    def read(self, path: str) -> SourceFile | Diagnostic:
        """Never a text."""
        self.asked = True
        return report("LG001", "git hands over this file alone", Span(SourceFile(path, ""), 0, 0))

    def real(self, path: str) -> str:
        """The path."""
        return path

    def exists(self, path: str) -> bool:
        """Whether anything is there."""
        return False

    def specs_beside(self, path: str) -> list[str]:
        """Names of YAML files beside it."""
        return []


def text_of(path: Path) -> bytes:
    """The text that stands for a file.

    Raises:
        OSError: it cannot be read.
    """
    if is_safetensors(path):
        return weights_text(path).encode(errors="backslashreplace")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data
    return spec_text(text, path.name).encode() if is_whole(text) else data


def spec_text(text: str, name: str) -> str:
    """A spec resolved, in the canonical form; as it is, under a line that says why, where that cannot be."""
    found, word = checked(text, name)
    if found.spec is None:
        return f"# legoc: shown as written, {word}\n{text}"
    return resolved_yaml(found.spec)


EXTENDS = "since it extends files that git does not hand over"
"""Why a spec that extends others has no resolved form by itself."""


def checked(text: str, name: str, files: Files | None = None) -> tuple[CheckResult, str]:
    """A spec checked, and why it has no resolved form; an empty text where it has one.

    Args:
        text: the spec.
        name: its path, to which what it extends is relative.
        files: where that is read from; None checks it without any other file.
    """
    alone = NoFiles()
    found = check_text(text, name, files=files or alone)
    if alone.asked:  # whatever else was found may follow from that
        return CheckResult(None, found.diagnostics), EXTENDS
    errors = [diagnostic for diagnostic in found.diagnostics if diagnostic.severity == "error"]
    if found.spec is None:
        first = f"{errors[0].code}: {errors[0].message}" if errors else "it does not check"
        return found, f"since it does not check ({first})"
    return found, ""


def weights_text(path: Path) -> str:
    """Header, spec and tensors of a safetensors file; every tensor with type, shape and the begin of its SHA-256."""
    try:
        return "\n".join(_weights_lines(path)) + "\n"
    except (ValueError, OSError) as error:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return f"legoc: no whole safetensors file ({error})\nbytes: {path.stat().st_size}\nsha256: {digest}\n"


def _weights_lines(path: Path) -> Iterator[str]:
    header, begin = safetensors_header(path)
    metadata = cast("Mapping[str, object]", header.pop("__metadata__", None) or {})
    for key in sorted(metadata):
        value = str(metadata[key])
        if "\n" in value:
            yield f"{key}:"
            yield from (f"  {line}" for line in value.splitlines())
        else:
            yield f"{key}: {value}"
    yield f"tensors: {len(header)}"
    with path.open("rb") as file:
        for name, entry in sorted(header.items()):
            yield f"  {name} {_tensor(file, begin, cast('Mapping[str, object]', entry))}"


def _tensor(file: BinaryIO, begin: int, entry: Mapping[str, object]) -> str:
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    match offsets:
        case [int(start), int(end)] if 0 <= start <= end:
            return f"{entry.get('dtype')} {json.dumps(shape)} {_sha256(file, begin + start, end - start)}"
        case _:
            raise ValueError("a tensor without its place")


def _sha256(file: BinaryIO, start: int, count: int) -> str:
    digest = hashlib.sha256()
    file.seek(start)
    while count > 0:
        data = file.read(min(count, CHUNK_BYTES))
        if not data:
            raise ValueError("it is cut short")
        digest.update(data)
        count -= len(data)
    return digest.hexdigest()[:HASH_DIGITS]
