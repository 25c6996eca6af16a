"""A file to its text, or to the diagnostic that says why there is none."""

from __future__ import annotations

import os
from pathlib import Path

from legoc.codes import report
from legoc.diagnostics import Diagnostic
from legoc.source import SourceFile, Span

MAX_BYTES = 1_000_000

_NOT_A_SPEC = "this does not look like a spec; check the path"
_BINARY = "the file is binary: it has zero bytes"
_IS_TEXT = "a spec is a text file; check the path"


def read_source(path: Path | str, name: str | None = None) -> SourceFile | Diagnostic:
    """The text of a file. Whatever the file is, the answer is a text or a diagnostic, never an exception.

    Findings: LG001 cannot be read, LG002 not text, LG007 too large.

    Args:
        path: the file.
        name: how diagnostics call it; the path by default.
    """
    name = os.fspath(path) if name is None else name
    empty = Span(SourceFile(name, ""), 0, 0)
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        return _unreadable(path, error, empty)
    return source_of(data, name)


def source_of(data: bytes, name: str) -> SourceFile | Diagnostic:
    """The text of bytes that were read, or why they are none.

    Findings: LG002 not text, LG007 too large.

    Args:
        data: the bytes, `MAX_BYTES` and one more at most.
        name: how diagnostics call them.
    """
    empty = Span(SourceFile(name, ""), 0, 0)
    if len(data) > MAX_BYTES:
        return report("LG007", f"the file has more than {MAX_BYTES:,} bytes", empty, help=_NOT_A_SPEC)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _not_utf8(data, error.start, empty)
    if "\0" in text:
        return report("LG002", _BINARY, empty, help=_IS_TEXT)
    return SourceFile(name, text)


def _unreadable(path: Path | str, error: OSError | ValueError, span: Span) -> Diagnostic:
    match error:
        case FileNotFoundError() if os.path.islink(path):
            message, help = "the symbolic link leads nowhere", f"it leads to `{os.readlink(path)}`, which is not there"
        case FileNotFoundError():
            message, help = "there is no such file", "check the path, relative to the current directory"
        case IsADirectoryError():
            inside = sorted(entry.name for entry in Path(path).glob("*.y*ml"))[:3]
            message, help = (
                "this is a directory",
                f"name a file in it: {', '.join(inside)}" if inside else "name a file",
            )
        case PermissionError():
            message, help = (
                "no permission to read the file",
                "check the permissions of the file and its folders",
            )
        case OSError():
            message, help = f"the file cannot be read: {error.strerror or error}", None
        case _:
            message, help = f"this cannot be the name of a file: {error}", None
    return report("LG001", message, span, help=help)


def _not_utf8(data: bytes, at: int, span: Span) -> Diagnostic:
    line = data.count(b"\n", 0, at) + 1
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return report("LG002", "the file is UTF-16", span, help="save it as UTF-8")
    if b"\0" in data[:8192]:
        return report("LG002", _BINARY, span, help=_IS_TEXT)
    message = f"the file is not UTF-8: byte 0x{data[at]:02x} in line {line}"
    return report("LG002", message, span, help="save it as UTF-8")
