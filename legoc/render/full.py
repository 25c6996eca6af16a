"""Diagnostics as text: full (with the source and carets), concise (one line each), json (a versioned shape).

takes: diagnostics
gives: text
may import: `legoc.source`, `legoc.diagnostics`
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from legoc.diagnostics import Diagnostic, Label
from legoc.source import SourceFile, Span

JSON_VERSION = 1
MAX_COLUMNS = 120
"""Source lines are cut to this many terminal columns around what is underlined."""

_TAB = 4
_STYLES = {"error": "1;31", "warning": "1;33", "frame": "1;34", "help": "1;36", "bold": "1"}

Format = Literal["full", "concise", "json"]


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to a stream: not under NO_COLOR, always under FORCE_COLOR, else on a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def render_full(diagnostics: Sequence[Diagnostic], *, colour: bool = False) -> str:
    """Every diagnostic with its source lines, underlined, and its help; an empty line between two."""
    return "\n".join(_Full(diagnostic, colour).text() for diagnostic in diagnostics)


def render_concise(diagnostics: Sequence[Diagnostic]) -> str:
    """One line a diagnostic: `path:line:column: error[LG201] message`."""
    return "".join(f"{_location(d)}{d.severity}[{d.code}] {_visible(d.message)}\n" for d in diagnostics)


def render_json(diagnostics: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """All diagnostics as one JSON object.

    Shape, version 1: `version`; `files`, the paths checked; `errors` and `warnings`, their numbers;
    `diagnostics`, each with `code`, `severity`, `message`, `help` (or null), `path`, `start` and `end` (each 1-based
    `line` and `column`, the end exclusive), `label`, and `related`: places with `path`, `start`, `end`, `label`.
    """
    body = {
        "version": JSON_VERSION,
        "files": list(files),
        "errors": sum(d.severity == "error" for d in diagnostics),
        "warnings": sum(d.severity == "warning" for d in diagnostics),
        "diagnostics": [_as_json(diagnostic) for diagnostic in diagnostics],
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def summary(diagnostics: Iterable[Diagnostic], files: int) -> str:
    """How many errors and warnings there are in how many files, in words."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = [(severities.count("error"), "error"), (severities.count("warning"), "warning")]
    found = " and ".join(_counted(number, word) for number, word in counts if number)
    return f"{_counted(files, 'file')} checked: {found or 'no problems'}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _location(diagnostic: Diagnostic) -> str:
    return f"{diagnostic.primary.span}: " if diagnostic.primary else ""


def _as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    nowhere: dict[str, Any] = {"path": None, "start": None, "end": None, "label": None}
    place = _place(diagnostic.primary) if diagnostic.primary else nowhere
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "help": diagnostic.help,
        **place,
        "related": [_place(label) for label in diagnostic.secondary],
    }


def _place(label: Label) -> dict[str, Any]:
    line, column = label.span.end_position
    start = {"line": label.span.line, "column": label.span.column}
    return {
        "path": label.span.file.name,
        "start": start,
        "end": {"line": line, "column": column},
        "label": label.text,
    }


# Full --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Mark:
    """A label on one source line: columns `start` up to `end`, 0-based characters of the line."""

    line: int
    start: int
    end: int
    text: str
    primary: bool


class _Full:
    def __init__(self, diagnostic: Diagnostic, colour: bool) -> None:
        self.diagnostic = diagnostic
        self.colour = colour

    def text(self) -> str:
        d = self.diagnostic
        head = self.style(f"{d.severity}[{d.code}]", d.severity) + self.style(f": {_visible(d.message)}", "bold")
        lines, gutter = [head], ""
        if d.primary:
            labels = [d.primary, *d.secondary]
            gutter = " " * len(str(max(label.span.line for label in labels)))
            lines += self.snippet(d.primary.span.file, labels, gutter)
        if d.help:
            lines.append(f"{gutter} {self.style('=', 'frame')} {self.style('help', 'help')}: {_visible(d.help)}")
        return "\n".join(lines) + "\n"

    def snippet(self, file: SourceFile, labels: list[Label], gutter: str) -> list[str]:
        primary = labels[0].span
        bar = self.style("|", "frame")
        where = _visible(str(primary) if file.text else file.name)
        lines = [f"{gutter}{self.style('-->', 'frame')} {where}"]
        if not file.text:
            return lines
        lines.append(f"{gutter} {bar}")
        marks = sorted((_mark(label, i == 0) for i, label in enumerate(labels)), key=lambda m: (m.line, not m.primary))
        before = 0
        for number in dict.fromkeys(mark.line for mark in marks):
            if before and number > before + 1:
                lines.append(self.style("...", "frame"))
            lines += self.source_line(file.line(number), [m for m in marks if m.line == number], number, gutter)
            before = number
        return [*lines, f"{gutter} {bar}"] if self.diagnostic.help else lines

    def source_line(self, line: str, marks: list[_Mark], number: int, gutter: str) -> list[str]:
        cells = [_cell(character) for character in line]
        first, last = _window(cells, marks[0])
        shown = "".join(cells[first:last]).rstrip()
        prefix, suffix = "…" if first else "", "…" if last < len(cells) else ""
        bar = self.style("|", "frame")
        lines = [f"{self.style(str(number).rjust(len(gutter)), 'frame')} {bar} {prefix}{shown}{suffix}".rstrip()]
        for mark in marks:
            start, end = max(mark.start, first), min(mark.end, last)
            if start > last or (end < first):
                continue  # another place on the same very long line
            indent = _columns(cells[first:start]) + len(prefix)
            length = max(1, _columns(cells[start:end]))
            under = ("^" if mark.primary else "-") * length + (f" {_visible(mark.text)}" if mark.text else "")
            kind = self.diagnostic.severity if mark.primary else "frame"
            lines.append(f"{gutter} {bar} {' ' * indent}{self.style(under, kind)}")
        return lines

    def style(self, text: str, kind: str) -> str:
        return f"\033[{_STYLES[kind]}m{text}\033[0m" if self.colour else text


def _mark(label: Label, primary: bool) -> _Mark:
    """Where a label stands on its first line: a span over several lines is underlined to the end of the first."""
    span: Span = label.span
    line, column = span.line, span.column
    end_line, end_column = span.end_position
    text = span.file.line(line)
    end = end_column - 1 if end_line == line else len(text.rstrip())
    return _Mark(line, column - 1, max(end, column), label.text, primary)


def _cell(character: str) -> str:
    """What a source character becomes on the terminal: tabs are spaces, control characters are visible."""
    if character == "\t":
        return " " * _TAB
    return character if character.isprintable() else "" if character == "\ufeff" else "�"


def _visible(text: str) -> str:
    """Text without control characters: what comes from a file must not steer the terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _columns(cells: Sequence[str]) -> int:
    """Terminal columns: wide characters take two, combining ones none."""
    return sum(_width(character) for cell in cells for character in cell)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _window(cells: list[str], mark: _Mark) -> tuple[int, int]:
    """The characters of a line to show: all of a short one, else those around the mark."""
    if _columns(cells) <= MAX_COLUMNS:
        return 0, len(cells)
    first = max(0, mark.start - MAX_COLUMNS // 3)
    last = first
    columns = 0
    while last < len(cells) and columns + _columns(cells[last : last + 1]) <= MAX_COLUMNS:
        columns += _columns(cells[last : last + 1])
        last += 1
    return first, last
