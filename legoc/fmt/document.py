"""A YAML document as entries that own their comments: what layout works on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass
class Line:
    """A comment that stands alone, and whether an empty line was above it."""

    text: str
    blank_above: bool


@dataclass
class Scalar:
    """A scalar, or the name of an alias.

    Attributes:
        value: its value as YAML reads it; for an alias its name.
        style: `"`, `'`, `|`, `>`, None for a plain scalar, `*` for an alias.
        in_flow: whether it was written between brackets, where plain text may hold less.
        anchor: its anchor, or None.
        raw: a block scalar as it was written, its indicator included.
    """

    value: str
    style: str | None
    in_flow: bool = False
    anchor: str | None = None
    raw: str = ""


@dataclass
class Collection:
    """A mapping or a list.

    Attributes:
        is_mapping: which of the two.
        is_flow: whether it was written in brackets.
        anchor: its anchor, or None.
        start: offset of its beginning.
        end: offset just past its closing bracket; of a block collection, where its end was noticed.
        owner: the entry whose value it is; None at the top.
        entries: what it holds.
        after: comments below its last entry that still belong to it.
    """

    is_mapping: bool
    is_flow: bool
    anchor: str | None
    start: int
    end: int = 0
    owner: Entry | None = None
    entries: list[Entry] = field(default_factory=list["Entry"])
    after: list[Line] = field(default_factory=list[Line])


@dataclass
class Entry:
    """An entry of a mapping, or an item of a list (whose key is None).

    Attributes:
        key: the key.
        value: the value.
        parent: the collection that it stands in.
        start: offset of its key, or of its dash.
        column: 0-based column there.
        blank_above: whether an empty line was above it.
        before: comments that stand above it.
        trailing: the comment at the end of its line.
    """

    key: Scalar | None
    value: Value
    parent: Collection
    start: int
    column: int
    blank_above: bool
    before: list[Line] = field(default_factory=list[Line])
    trailing: str | None = None


Value: TypeAlias = Scalar | Collection


@dataclass
class Document:
    """A whole file.

    Attributes:
        root: the top-level mapping.
        header: comments above its first entry: they stay on top whatever order the entries take.
        header_ends: whether an empty line separates the header from what follows.
        has_anchors: whether entries refer to one another, so that their order matters.
    """

    root: Collection
    header: list[Line]
    header_ends: bool
    has_anchors: bool


def entries_of(collection: Collection) -> Iterator[Entry]:
    """All entries inside a collection, in the order of the text."""
    for entry in collection.entries:
        yield entry
        if isinstance(entry.value, Collection):
            yield from entries_of(entry.value)
