"""The format concise, the summary, differences, and what a terminal can be shown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TextIO

from legoc.diagnostics import Diagnostic


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to a stream: not under NO_COLOR, always under FORCE_COLOR, else on a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def render_concise(diagnostics: Sequence[Diagnostic]) -> str:
    """One line a diagnostic: `path:line:column: error[LG201] message`."""
    return "".join(f"{_location(d)}{d.severity}[{d.code}] {visible(d.message)}\n" for d in diagnostics)


def summary(diagnostics: Iterable[Diagnostic], files: int) -> str:
    """How many errors and warnings there are in how many files, in words."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = [(severities.count("error"), "error"), (severities.count("warning"), "warning")]
    found = " and ".join(counted(number, word) for number, word in counts if number)
    return f"{counted(files, 'file')} checked: {found or 'no problems'}"


def unified_diff(before: str, after: str, name: str) -> str:
    """What changes in a file, as `diff -u` and `git diff` write it."""
    import difflib  # only `--diff` needs it

    path = name.lstrip("/")
    lines: list[str] = []
    for line in difflib.unified_diff(_lines(before), _lines(after), f"a/{path}", f"b/{path}"):
        lines.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(lines)


def _lines(text: str) -> list[str]:
    """The lines of a text with their ends; a line ends at a line feed alone, as everywhere in this project."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def counted(number: int, word: str) -> str:
    """A number of things in words: `1 file`, `2 files`."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def _location(diagnostic: Diagnostic) -> str:
    return f"{diagnostic.primary.span}: " if diagnostic.primary else ""


def visible(text: str) -> str:
    """Text with control characters and invisible ones by number: `<U+200B>`.

    What comes from a file must not steer the terminal, and nothing in it may look like something else.
    """
    return "".join(character if character.isprintable() else by_number(character) for character in text)


def by_number(character: str) -> str:
    """A character that a reader could not see, or that would steer the terminal, as `<U+200B>`."""
    return f"<U+{ord(character):04X}>"
