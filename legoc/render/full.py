"""The format full: every diagnostic with its source lines, underlined, and its help."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from legoc.diagnostics import Diagnostic, Label
from legoc.render.lines import by_number, visible
from legoc.source import SourceFile, Span

MAX_COLUMNS = 120
"""Source lines are cut to this many terminal columns around what is underlined."""

_TAB = 4
_STYLES = {"error": "1;31", "warning": "1;33", "frame": "1;34", "help": "1;36", "bold": "1"}


def render_full(diagnostics: Sequence[Diagnostic], *, colour: bool = False) -> str:
    """Every diagnostic with its source lines, underlined, and its help; an empty line between two."""
    return "\n".join(_Full(diagnostic, colour).text() for diagnostic in diagnostics)


def render_places(labels: Sequence[Label], *, colour: bool = False) -> list[str]:
    """Source lines of places, file by file; the first place is underlined by carets, the others by dashes."""
    about = Diagnostic("", "warning", "", labels[0], tuple(labels[1:]))
    gutter = " " * len(str(max(label.span.line for label in labels)))
    return _Full(about, colour).snippet(list(labels), gutter)


class _Mark(NamedTuple):
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
        head = self.style(f"{d.severity}[{d.code}]", d.severity) + self.style(f": {visible(d.message)}", "bold")
        lines, gutter = [head], ""
        if d.primary:
            labels = [d.primary, *d.secondary]
            gutter = " " * len(str(max(label.span.line for label in labels)))
            lines += self.snippet(labels, gutter)
        if d.help:
            lines.append(f"{gutter} {self.style('=', 'frame')} {self.style('help', 'help')}: {visible(d.help)}")
        return "\n".join(lines) + "\n"

    def snippet(self, labels: list[Label], gutter: str) -> list[str]:
        """The labels' source lines, file by file, the primary's file first."""
        lines: list[str] = []
        for file in dict.fromkeys(label.span.file for label in labels):
            here = [label for label in labels if label.span.file == file]
            lines += self.in_file(file, here, gutter, is_first=not lines)
        return lines

    def in_file(self, file: SourceFile, labels: list[Label], gutter: str, *, is_first: bool) -> list[str]:
        bar = self.style("|", "frame")
        where = visible(str(labels[0].span) if file.text else file.name)
        lines = [f"{gutter}{self.style('-->' if is_first else ':::', 'frame')} {where}"]
        if not file.text:
            return lines
        lines.append(f"{gutter} {bar}")
        found = [_mark(label, is_first and i == 0) for i, label in enumerate(labels)]
        marks = sorted(found, key=lambda mark: (mark.line, not mark.primary))
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
            under = ("^" if mark.primary else "-") * length + (f" {visible(mark.text)}" if mark.text else "")
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
    """What a source character becomes on the terminal: tabs are spaces, what is invisible is there by number."""
    if character == "\t":
        return " " * _TAB
    return character if character.isprintable() else by_number(character)


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
