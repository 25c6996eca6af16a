"""Offsets in a text and the protocol's positions.

The protocol counts columns in code units of an encoding that client and server agree on, UTF-16 unless said otherwise,
and ends lines at a line feed, a carriage return, or both.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property

from lsprotocol.types import Position, PositionEncodingKind, Range

from legoc.source import Span

_LINE_END = re.compile(r"\r\n|\r|\n")


class Positions:
    """The positions of one text.

    Args:
        text: the text.
        encoding: what columns count: the code units of UTF-8, UTF-16 or UTF-32.
    """

    def __init__(self, text: str, encoding: PositionEncodingKind | str = PositionEncodingKind.Utf16) -> None:
        self.text = text
        self.encoding = encoding

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_END.finditer(self.text))]

    def position(self, offset: int) -> Position:
        """The position of an offset; past the end, that of the end."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        start = self._starts[line]
        return Position(line, sum(self._units(character) for character in self.text[start:offset]))

    def offset(self, position: Position) -> int:
        """The offset of a position; beyond the end of a line, that of the line's end."""
        if position.line >= len(self._starts):
            return len(self.text)
        at = self._starts[position.line]
        end = self._line_end(at)
        units = 0
        while at < end and units < position.character:
            units += self._units(self.text[at])
            at += 1
        return at

    def range(self, start: int, end: int) -> Range:
        """The range of offsets `start` up to `end`."""
        return Range(self.position(start), self.position(end))

    def whole(self) -> Range:
        """The range of the whole text."""
        return self.range(0, len(self.text))

    def _line_end(self, start: int) -> int:
        match = _LINE_END.search(self.text, start)
        return match.start() if match else len(self.text)

    def _units(self, character: str) -> int:
        if self.encoding == PositionEncodingKind.Utf32:
            return 1
        if self.encoding == PositionEncodingKind.Utf8:
            return len(character.encode("utf-8", "surrogatepass"))
        return 2 if ord(character) > 0xFFFF else 1


def span_range(span: Span, encoding: PositionEncodingKind | str) -> Range:
    """The range of a span in its own file."""
    return Positions(span.file.text, encoding).range(span.start, span.end)
