"""Where text comes from: files and spans in them.

takes: paths, text
gives: SourceFile, Span
may import: the standard library
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

BYTE_ORDER_MARK = "\ufeff"
COMMAND_LINE = "--set "
"""What the names of texts begin with that are options, not files."""


@dataclass(frozen=True)
class SourceFile:
    """A named text. Lines end at a line feed alone; columns count characters, a byte order mark not among them."""

    name: str
    text: str = field(repr=False)

    @property
    def is_command_line(self) -> bool:
        """Whether the text was given on the command line: no file that a service could open."""
        return self.name.startswith(COMMAND_LINE)

    @cached_property
    def line_starts(self) -> list[int]:
        """Offset of the first character of every line."""
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def line(self, number: int) -> str:
        """The text of a 1-based line, without its end; empty past the end of the file."""
        if not 1 <= number <= len(self.line_starts):
            return ""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        if number == 1 and self.text.startswith(BYTE_ORDER_MARK):
            start = 1
        return self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")

    def position(self, offset: int) -> tuple[int, int]:
        """1-based line and column of an offset."""
        line = bisect_right(self.line_starts, offset)
        start = self.line_starts[line - 1]
        if line == 1 and self.text.startswith(BYTE_ORDER_MARK):
            start = min(1, offset)  # no editor shows it
        return line, offset - start + 1


class Span(NamedTuple):
    """A range of characters in a file: `start` up to, not including, `end`."""

    file: SourceFile
    start: int
    end: int

    @property
    def line(self) -> int:
        """1-based line of the start."""
        return self.file.position(self.start)[0]

    @property
    def column(self) -> int:
        """1-based column of the start."""
        return self.file.position(self.start)[1]

    @property
    def end_position(self) -> tuple[int, int]:
        """1-based line and column just past the end."""
        return self.file.position(self.end)

    def __str__(self) -> str:
        return f"{self.file.name}:{self.line}:{self.column}"
