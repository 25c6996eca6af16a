"""Lines of .gitattributes that name the drivers. Whatever else the file says stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from legoc.render.lines import visible
from legoc.spec.find import SUFFIXES
from legoc_runtime.errors import UsageError

SPEC_DRIVER, WEIGHTS_DRIVER = "legoc-spec", "legoc-weights"
ANY_SPECS = ("specs/**/*.yaml", "specs/**/*.yml")
"""Patterns where no folder is known to hold specs."""

_OURS = re.compile(rb"[ \t]diff=(%s|%s)[ \t]*" % (SPEC_DRIVER.encode(), WEIGHTS_DRIVER.encode()))


def lines_for(patterns: Sequence[str]) -> list[str]:
    """The lines for specs at these patterns, and for weights."""
    return [*(f"{pattern} diff={SPEC_DRIVER}" for pattern in patterns), f"*.safetensors diff={WEIGHTS_DRIVER}"]


def patterns_of(specs: Iterable[str]) -> list[str]:
    """A pattern for every folder that holds specs, given by their paths from the top of the repository."""
    found = {(PurePosixPath(path).parent.as_posix(), PurePosixPath(path).suffix) for path in specs}
    return [_pattern(folder, suffix) for folder, suffix in sorted(found) if suffix in SUFFIXES]


def pattern_of(text: str) -> str:
    """A pattern as somebody says it, as a line of attributes has it.

    Raises:
        UsageError: no line can begin with it.
    """
    if not text.strip() or not text.isprintable() or text.startswith(("!", "[attr]")):
        raise UsageError(f"--specs: `{visible(text)}` is no pattern of .gitattributes", help="write 'specs/**/*.yaml'")
    is_quoted = len(text) > 2 and text.startswith('"') and text.endswith('"')
    return text if is_quoted else _quoted(text)


def added(text: bytes, lines: Sequence[str]) -> bytes:
    """A file of attributes with lines at its end, those left out that it has."""
    new = [line.encode() for line in lines if line.encode() not in _stripped(text)]
    if not new:
        return text
    ending = b"\r\n" if b"\r\n" in text else b"\n"
    whole = text if not text or text.endswith(b"\n") else text + ending
    return whole + b"".join(line + ending for line in new)


def removed(text: bytes) -> bytes:
    """A file of attributes without the lines that name our drivers and nothing else."""
    return b"".join(line for line in text.splitlines(keepends=True) if not _is_ours(line))


def _is_ours(line: bytes) -> bool:
    stripped = line.strip()
    found = _OURS.search(stripped)
    if found is None or stripped.startswith(b"#") or found.end() != len(stripped):
        return False
    pattern = stripped[: found.start()].strip()
    # anything between pattern and driver is somebody's own attribute
    return pattern.endswith(b'"') if pattern.startswith(b'"') else not re.search(rb"\s", pattern)


def _stripped(text: bytes) -> set[bytes]:
    return {line.strip() for line in text.splitlines()}


def _pattern(folder: str, suffix: str) -> str:
    """`/specs/*.yaml`: the files of one folder, none of those below it."""
    escaped = re.sub(r"([\\*?\[\]])", r"\\\1", folder)
    return _quoted(f"/*{suffix}" if folder == "." else f"/{escaped}/*{suffix}")


def _quoted(pattern: str) -> str:
    """A pattern, in quotes where a line would end it sooner, or be a comment."""
    if re.search(r'[\s"]|^#', pattern):
        return '"' + pattern.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return pattern
