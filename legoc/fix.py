"""Safe fixes: the edits that diagnostics carry, made only where nothing new goes wrong.

takes: the text of a spec and a way to check it
gives: the mended text, what was mended, what was left
may import: `legoc.diagnostics`, `legoc.source`
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from legoc.diagnostics import Diagnostic, Edit

MAX_CHECKS = 200
"""A file of hundreds of independent mistakes is not mended beyond this many attempts."""

Check = Callable[[str], Sequence[Diagnostic]]
"""Text of a spec -> what is wrong with it."""


@dataclass(frozen=True)
class Fixed:
    """A text after its safe fixes.

    Attributes:
        text: the text; everything outside the edits is as it was, byte for byte.
        made: the diagnostics whose edits were made, in the order in which they were made.
        left: the diagnostics with edits that were not made, since they would bring a new kind of problem to light.
        remaining: everything that is still wrong, `left` included.
    """

    text: str
    made: tuple[Diagnostic, ...]
    left: tuple[Diagnostic, ...]
    remaining: tuple[Diagnostic, ...]


def fix_text(text: str, name: str, check: Check) -> Fixed:
    """Make every safe fix of a text.

    A fix is kept when the text, checked again, has no code that it had not before: mending never introduces a problem
    of a new kind. Mending what this function returns changes nothing.

    Args:
        text: the spec.
        name: how its diagnostics call the file; edits of other files are not made.
        check: checks a text under that name.
    """
    remaining = tuple(check(text))
    allowed = {finding.code for finding in remaining}
    made: list[Diagnostic] = []
    checks = 0
    while (fixable := _fixable(remaining, name, text)) and checks < MAX_CHECKS:
        batch = _disjoint(fixable)
        for group in [batch, *([finding] for finding in fixable if len(batch) > 1)]:
            candidate = apply(text, [edit for finding in group for edit in finding.fix or ()])
            found = tuple(check(candidate))
            checks += 1
            if candidate != text and {finding.code for finding in found} <= allowed:
                text, remaining = candidate, found
                made += group
                break
        else:
            break
    return Fixed(text, tuple(made), tuple(_fixable(remaining, name, text)), remaining)


def apply(text: str, edits: Iterable[Edit]) -> str:
    """A text after edits that do not overlap; the same edit given twice is made once."""
    for edit in sorted(set(edits), key=lambda edit: (edit.span.start, edit.span.end), reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all: a temporary file beside it takes its place, with its permissions.

    A symbolic link stays one; what it points to is replaced. Raises OSError.
    """
    target = path.resolve()
    number, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with open(number, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        os.chmod(temporary, target.stat().st_mode & 0o7777)
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _fixable(findings: Sequence[Diagnostic], name: str, text: str) -> list[Diagnostic]:
    def is_here(edit: Edit) -> bool:
        return edit.span.file.name == name and edit.span.file.text == text

    return [finding for finding in findings if finding.fix and all(map(is_here, finding.fix))]


def _disjoint(findings: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The findings, first come first served, whose edits do not touch one another."""
    chosen: list[Diagnostic] = []
    taken: set[Edit] = set()
    for finding in findings:
        edits = set(finding.fix or ())
        others = taken - edits
        if not any(a.span.start <= b.span.end and b.span.start <= a.span.end for a in edits for b in others):
            chosen.append(finding)
            taken |= edits
    return chosen
