"""Text to a document: events to entries, then every comment to the entry that it speaks of."""

from __future__ import annotations

import re
from bisect import bisect_left

from legoc.fmt.document import Collection, Document, Entry, Line, Scalar, Value, entries_of
from legoc.source import SourceFile
from legoc.spec.comments import Comment, comments_between
from legoc.spec.yaml_event import YamlEvent
from legoc.spec.yaml_events import yaml_events

_DASH = re.compile(r".*(-)[ \t]*$")


def read(file: SourceFile) -> Document:
    """A document with its comments attached.

    Args:
        file: a text that composes to a mapping without findings.
    """
    events = list(yaml_events(file.text))
    reader = _Reader(file)
    for event in events:
        reader.take(event)
    assert isinstance(reader.root, Collection), "the file was composed to a mapping before"
    attacher = _Attacher(file, reader.root)
    for comment in comments_between(file, events):
        attacher.attach(comment)
    header_ends = bool(reader.root.entries) and reader.root.entries[0].blank_above
    return Document(reader.root, attacher.header, header_ends, any(event.anchor for event in events))


class _Reader:
    """Events to collections and entries, with an explicit stack."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.root: Value | None = None
        self.stack: list[Collection] = []
        self.keys: list[tuple[Scalar, int] | None] = []

    def take(self, event: YamlEvent) -> None:
        in_flow = bool(self.stack) and self.stack[-1].is_flow
        match event.kind:
            case "alias":
                self.add(Scalar(event.anchor or "", "*", in_flow), event.start)
            case "scalar":
                raw = self.file.text[event.start : event.end] if event.style in ("|", ">") else ""
                self.add(Scalar(event.value, event.style, in_flow, event.anchor, raw), event.start)
            case "mapping" | "sequence":
                opened = self.file.text[event.start : event.end].rstrip()
                is_flow = in_flow or opened.endswith(("{", "["))
                collection = Collection(event.kind == "mapping", is_flow, event.anchor, event.start)
                self.add(collection, event.start)
                self.stack.append(collection)
                self.keys.append(None)
            case "end":
                self.stack.pop().end = event.end
                self.keys.pop()
            case _:
                pass

    def add(self, value: Value, start: int) -> None:
        if not self.stack:
            self.root = value
            return
        parent = self.stack[-1]
        if not parent.is_mapping:
            self.enter(Entry(None, value, parent, *self.dash(start, parent)))
        elif (key := self.keys[-1]) is None:
            assert isinstance(value, Scalar), "a collection as a key is a finding of composing"
            self.keys[-1] = (value, start)
        else:
            self.keys[-1] = None
            at = key[1]
            self.enter(Entry(key[0], value, parent, at, self.column(at), self.is_below_blank(at)))

    def enter(self, entry: Entry) -> None:
        entry.parent.entries.append(entry)
        if isinstance(entry.value, Collection):
            entry.value.owner = entry

    def dash(self, start: int, parent: Collection) -> tuple[int, int, bool]:
        """Offset and column of the dash before an item, where it stands in the item's line."""
        begin = start - self.column(start)
        if not parent.is_flow and (match := _DASH.match(self.file.text[begin:start])):
            start = begin + match.start(1)
        return start, self.column(start), self.is_below_blank(start)

    def column(self, offset: int) -> int:
        return self.file.position(offset)[1] - 1

    def is_below_blank(self, offset: int) -> bool:
        return is_below_blank(self.file, offset)


def is_below_blank(file: SourceFile, offset: int) -> bool:
    """Whether an offset is where a line begins, dashes aside, and the one above it is empty."""
    line, column = file.position(offset)
    is_first = not file.text[offset - column + 1 : offset].strip(" \t-")
    return is_first and line > 1 and not file.line(line - 1).strip()


class _Attacher:
    """Gives each comment, in order, to an entry, a collection, or the header."""

    def __init__(self, file: SourceFile, root: Collection) -> None:
        self.file = file
        self.root = root
        self.header: list[Line] = []
        self.entries = list(entries_of(root))
        self.starts = [entry.start for entry in self.entries]
        self.gap: tuple[int, int] = (-1, 0)
        """Index of the next entry, and how deep a comment above it may still belong: order is kept."""

    def attach(self, comment: Comment) -> None:
        at = comment.span.start
        next = bisect_left(self.starts, at)
        begin = at - self.file.position(at)[1] + 1
        if next == 0 or not self.file.text[begin:at].strip("\ufeff \t-"):
            self.alone(comment, next)
            return
        entry = _outside_closed(self.entries[next - 1], at)
        if entry.trailing is None:
            entry.trailing = comment.text
        elif isinstance(entry.value, Collection):
            entry.value.after.append(Line(comment.text, False))
        else:
            entry.before.append(Line(comment.text, False))

    def alone(self, comment: Comment, next: int) -> None:
        at = comment.span.start
        line = Line(comment.text, is_below_blank(self.file, at))
        if next == 0:
            self.header.append(line)
            return
        following = self.entries[next] if next < len(self.entries) else None
        previous = _outside_closed(self.entries[next - 1], at)
        around = (c for c in (previous.value, previous.parent) if isinstance(c, Collection) and c.is_flow)
        inside = [c for c in around if c.start < at < c.end]
        if inside:
            if following is not None and following.start < inside[0].end:
                following.before.append(line)
            else:
                inside[0].after.append(line)
            return
        column = comment.span.column - 1
        depth_allowed = self.gap[1] if self.gap[0] == next else 10**9
        chosen = self.closed_block(previous, following, column, depth_allowed)
        if chosen is None and following is not None:
            following.before.append(line)
            self.gap = (next, -1)
        else:
            chosen = chosen or self.root
            chosen.after.append(line)
            self.gap = (next, _depth(chosen))

    def closed_block(self, previous: Entry, following: Entry | None, column: int, depth: int) -> Collection | None:
        """The deepest block that ended here and is indented no more than the comment; None for what comes next."""
        stays = set[int]()
        if following is not None:
            if column <= following.column:
                return None
            stays = {id(collection) for collection in _enclosing(following)}
        for collection in _enclosing(previous):
            if id(collection) in stays:
                return None
            if not collection.is_flow and collection.entries[0].column <= column and _depth(collection) <= depth:
                return collection
        return None


def _outside_closed(entry: Entry, at: int) -> Entry:
    """The entry itself, or the one whose brackets were closed around it before an offset."""
    while entry.parent.is_flow and entry.parent.end <= at and entry.parent.owner is not None:
        entry = entry.parent.owner
    return entry


def _enclosing(entry: Entry) -> list[Collection]:
    """The collections around an entry, the innermost first."""
    found = [entry.parent]
    while (owner := found[-1].owner) is not None:
        found.append(owner.parent)
    return found


def _depth(collection: Collection) -> int:
    return 0 if collection.owner is None else len(_enclosing(collection.owner))
