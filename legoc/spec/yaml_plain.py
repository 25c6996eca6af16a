"""The events of YAML as specs use it, read in one pass with a few patterns: about ten times as fast as a whole scanner.

Block mappings and lists, flow ones in them, scalars of one line, comments. Whatever is not certain to be that, gives
None, and the whole reader decides: this one never says that a text is wrong. Tests hold both against each other,
event by event, over every text that there is and thousands that were changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from legoc.spec.yaml_event import YamlEvent

MAX_DEPTH = 12
"""Levels of nesting that are read here."""

# No tab, no carriage return, none of the other ends of lines, nothing that YAML does not allow.
_ORDINARY = re.compile("[\n -~\u00a1-\u1fff\u2010-\u2027\u2030-\ud7ff]*")
_GAP = re.compile(r"(?:[ ]*(?:\#[^\n]*)?\n)*[ ]*(?:\#[^\n]*\Z)?")
_LINE_END = re.compile(r"(?:[ ]*|[ ]+\#[^\n]*)(?:\n|\Z)")
_DASH = re.compile(r"-[ ]+(?![ \n\#]|\Z)")
_KEY = re.compile(r"([A-Za-z0-9_$][A-Za-z0-9_.$/-]{0,99}):(?=[ \n]|\Z)")
_FIRST = r"(?:[^ \n\-?:,\[\]{}\#&*!|>'\"%@`]|-(?=[A-Za-z0-9.]))"
_BLOCK_PLAIN = re.compile(rf"{_FIRST}(?:[^ \n:\#]|:(?=[^ \n])|(?<=[^ \n])\#|[ ]+(?=[^ \n\#]))*")
_FLOW_PLAIN = re.compile(rf"{_FIRST}(?:[^ \n,\[\]{{}}\#:?]|[ ]+(?=[^ \n,\[\]{{}}\#:?]))*")
_QUOTED = re.compile(r"\"([^\"\\\n]*)\"|'([^'\n]*)'(?!')")
_FLOW_KEY = re.compile(r"([A-Za-z0-9_$][A-Za-z0-9_.$/-]{0,99}):[ ]+")
_FLOW_GAP = re.compile(r"(?:[ ]*(?:(?<=[ \n])\#[^\n]*)?\n)*[ ]*")


def plain_events(text: str) -> list[YamlEvent] | None:
    """The events of a text that is plain throughout, and None for any other.

    Args:
        text: of a YAML file, whole.
    """
    if _ORDINARY.fullmatch(text) is None or "\n..." in text:  # three dots end a document, in brackets too
        return None
    reading = _Reading(text)
    try:
        reading.document()
    except _NotPlainError:
        return None
    return reading.events


class _NotPlainError(Exception):
    """The text is YAML of another kind, or none."""


class _Block(NamedTuple):
    kind: Literal["sequence", "mapping"]
    column: int


@dataclass
class _Reading:
    """Where reading stands.

    Attributes:
        text: what is read.
        events: those so far.
        blocks: block collections that are open, outermost first.
        waiting: whether the last key has no value yet, which may stand on the lines below it.
    """

    text: str
    events: list[YamlEvent] = field(default_factory=list[YamlEvent])
    blocks: list[_Block] = field(default_factory=list[_Block])
    waiting: bool = False

    def document(self) -> None:
        """All of the text."""
        at = self.gap(0)
        self.events += (YamlEvent("other", 0, 0), YamlEvent("document", at, at))
        while at < len(self.text):
            column = at - (self.text.rfind("\n", 0, at) + 1)
            self.leave(at, column)
            at = self.gap(self.entry(at, column))
        self.leave(at, -1)
        if len(self.events) == 2:
            raise _NotPlainError
        self.events += (YamlEvent("other", at, at), YamlEvent("other", at, at))

    def gap(self, at: int) -> int:
        """The offset of the next text that is no comment."""
        found = _GAP.match(self.text, at)
        assert found is not None
        return found.end()

    def leave(self, at: int, column: int) -> None:
        """End the collections whose lines begin further to the right than the one at `at`."""
        inner = self.blocks[-1].column if self.blocks else -1
        if self.waiting and column <= inner:
            self.events.append(YamlEvent("scalar", at, at))  # ruamel has what is not there where the next entry begins
            self.waiting = False
        while self.blocks and self.blocks[-1].column > column:
            self.events.append(YamlEvent("end", at, at))
            self.blocks.pop()

    def entry(self, at: int, column: int) -> int:
        """One entry of a block collection; the offset of the line after it."""
        dash = _DASH.match(self.text, at)
        self.open("mapping" if dash is None else "sequence", at, column)
        if dash is None:
            return self.pair(at)
        inner = column + dash.end() - at
        at = dash.end()
        if _DASH.match(self.text, at) or _KEY.match(self.text, at):
            self.waiting = True  # a collection that begins on the dash's own line
            return self.entry(at, inner)
        return self.line_end(self.value(at))

    def open(self, kind: Literal["sequence", "mapping"], at: int, column: int) -> None:
        """Begin a collection at an entry that is not one of the innermost."""
        inner = self.blocks[-1] if self.blocks else None
        if inner == (kind, column) and not self.waiting:
            return
        is_place = column == 0 if inner is None else self.waiting and column > inner.column
        if not is_place or len(self.blocks) >= MAX_DEPTH:
            raise _NotPlainError
        self.events.append(YamlEvent(kind, at, at))
        self.blocks.append(_Block(kind, column))
        self.waiting = False

    def pair(self, at: int) -> int:
        """A key and what stands on its line; the offset of the line after it."""
        key = _KEY.match(self.text, at)
        if key is None:
            raise _NotPlainError
        self.events.append(YamlEvent("scalar", at, key.end(1), key[1]))
        if (end := _LINE_END.match(self.text, key.end())) is not None:
            self.waiting = True
            return end.end()
        at = key.end()
        while self.text[at] == " ":
            at += 1
        return self.line_end(self.value(at))

    def line_end(self, at: int) -> int:
        """The offset of the next line, where nothing more stands on this one."""
        end = _LINE_END.match(self.text, at)
        if end is None:
            raise _NotPlainError
        return end.end()

    def value(self, at: int) -> int:
        """A scalar or a flow collection in a block; the offset past it."""
        return self.flow(at) if self.text.startswith(("[", "{"), at) else self.scalar(at, _BLOCK_PLAIN)

    def scalar(self, at: int, plain: re.Pattern[str]) -> int:
        """A scalar of one line; the offset past it."""
        if (found := plain.match(self.text, at)) is not None:
            self.events.append(YamlEvent("scalar", at, found.end(), found[0]))
        elif (found := _QUOTED.match(self.text, at)) is not None:
            value = found[1] if found[2] is None else found[2]
            self.events.append(YamlEvent("scalar", at, found.end(), value, self.text[at]))
        else:
            raise _NotPlainError
        return found.end()

    def flow(self, at: int, depth: int = 0) -> int:
        """A flow collection with all that is in it; the offset past it."""
        text, is_mapping = self.text, self.text[at] == "{"
        if depth + len(self.blocks) >= MAX_DEPTH:
            raise _NotPlainError
        self.events.append(YamlEvent("mapping" if is_mapping else "sequence", at, at + 1))
        closer = "}" if is_mapping else "]"
        at = self.flow_gap(at + 1)
        while not text.startswith(closer, at):
            if is_mapping:
                at = self.flow_key(at)
            at = self.flow(at, depth + 1) if text.startswith(("[", "{"), at) else self.scalar(at, _FLOW_PLAIN)
            at = self.flow_gap(at)
            if text.startswith(",", at):
                at = self.flow_gap(at + 1)
            elif not text.startswith(closer, at):
                raise _NotPlainError
        self.events.append(YamlEvent("end", at, at + 1))
        return at + 1

    def flow_key(self, at: int) -> int:
        """The key of an entry in braces; the offset of its value."""
        key = _FLOW_KEY.match(self.text, at)
        if key is None:
            raise _NotPlainError
        self.events.append(YamlEvent("scalar", at, key.end(1), key[1]))
        return key.end()

    def flow_gap(self, at: int) -> int:
        """The offset of what comes next in brackets: spaces, ends of lines and comments left behind."""
        found = _FLOW_GAP.match(self.text, at)
        assert found is not None
        return found.end()
