"""What a YAML text is read into: events with offsets, or the place where it is not YAML."""

from __future__ import annotations

from typing import Literal, NamedTuple

EventKind = Literal["document", "alias", "scalar", "sequence", "mapping", "end", "other"]


class YamlEvent(NamedTuple):
    """One event of a YAML stream.

    Attributes:
        kind: `sequence` and `mapping` begin a collection, `end` ends one.
        start: offset of its first character.
        end: offset just past its last.
        value: text of a scalar.
        style: `"`, `'`, `|`, `>`, or None for a plain scalar.
        anchor: name of its anchor, or of what an alias stands for.
        tag: its tag, if one is written.
    """

    kind: EventKind
    start: int
    end: int
    value: str = ""
    style: str | None = None
    anchor: str | None = None
    tag: str | None = None


class NotYamlError(Exception):
    """The text is not YAML.

    Attributes:
        message: what is wrong.
        at: offset of the problem.
        context: what was being read, or empty.
        begun: offset where that began, or None.
        character: the code point that YAML does not allow, where that is the problem.
    """

    def __init__(
        self, message: str, at: int, *, context: str = "", begun: int | None = None, character: int | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.at, self.context = message, at, context
        self.begun, self.character = begun, character
