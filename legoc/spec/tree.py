"""The located tree: a YAML document as nodes that remember where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from legoc.source import Span
from legoc.spec.resolved import Path
from legoc.spec.scalars import ScalarValue, value_ranges


@dataclass(frozen=True)
class ScalarNode:
    """A scalar.

    Attributes:
        span: the scalar in the file, quotes included.
        text: its text as YAML reads it.
        value: its value by the core schema.
        style: `"`, `'`, `|`, `>`, or None for a plain scalar.
        broken: a diagnostic about this scalar exists already; nothing more is to be said about its value.
    """

    span: Span
    text: str
    value: ScalarValue
    style: str | None = None
    broken: bool = False

    def part(self, start: int, end: int) -> Span:
        """The span of characters `start` up to `end` of `text`."""
        ranges = value_ranges(self.span.file.text, self.span.start, self.text, self.style)
        first = ranges[start][0]
        return Span(self.span.file, first, max(ranges[end - 1][1], first) if end > start else first)


@dataclass(frozen=True)
class SequenceNode:
    """A list."""

    span: Span
    items: tuple[Node, ...]


@dataclass(frozen=True)
class MappingNode:
    """A mapping. A key that is written twice is here once, with its first value."""

    span: Span
    entries: tuple[tuple[ScalarNode, Node], ...]

    def get(self, key: str) -> tuple[ScalarNode, Node] | None:
        """The entry of a key."""
        return self._by_key.get(key)

    @cached_property
    def _by_key(self) -> dict[str, tuple[ScalarNode, Node]]:
        return {entry[0].text: entry for entry in self.entries}


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


def plain(node: Node) -> Any:
    """The tree as fresh dicts, lists and scalars."""
    match node:
        case ScalarNode():
            return node.value
        case SequenceNode():
            return [plain(item) for item in node.items]
        case MappingNode():
            return {key.text: plain(value) for key, value in node.entries}


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every node with its path, the root first."""
    found: list[tuple[Path, Node]] = []
    _gather(node, path, found)
    return iter(found)


def _gather(node: Node, path: Path, into: list[tuple[Path, Node]]) -> None:
    into.append((path, node))
    match node:
        case SequenceNode():
            for i, item in enumerate(node.items):
                _gather(item, (*path, i), into)
        case MappingNode():
            for key, value in node.entries:
                _gather(value, (*path, key.text), into)
        case ScalarNode():
            pass


class LocatedTree:
    """Look-ups by path in a document whose top level is a mapping."""

    def __init__(self, root: MappingNode) -> None:
        self.root = root
        self.nodes: dict[Path, Node] = dict(walk(root))

    def has(self, path: Path) -> bool:
        """Whether the user wrote this place."""
        return path in self.nodes

    def key(self, path: Path) -> Span | None:
        """The span of the key that a path ends in; None for list items and unwritten places."""
        parent = self.nodes.get(path[:-1]) if path else None
        entry = parent.get(str(path[-1])) if isinstance(parent, MappingNode) else None
        return entry[0].span if entry else None

    def span(self, path: Path) -> Span:
        """The span of the value at a path, or of the nearest enclosing place that was written."""
        while path not in self.nodes:
            path = path[:-1]
        return self.nodes[path].span

    def head(self, path: Path) -> Span:
        """Where to point to for a whole mapping or list: its key, a brick's `id`, else its first line."""
        while path not in self.nodes:
            path = path[:-1]
        if key := self.key(path):
            return key
        node = self.nodes[path]
        if isinstance(node, MappingNode):
            if (id := node.get("id")) and isinstance(id[1], ScalarNode):
                return id[1].span
            if node.entries:
                # of a mapping over several files: what the topmost one says
                own = (key.span for key, _ in node.entries if key.span.file is node.span.file)
                return next(own, node.entries[0][0].span)
        return node.span

    def scalar(self, path: Path) -> ScalarNode | None:
        """The scalar at a path, if one is there."""
        node = self.nodes.get(path)
        return node if isinstance(node, ScalarNode) else None

    def spans(self) -> dict[Path, Span]:
        """Path -> span of every value in the document."""
        return {path: node.span for path, node in self.nodes.items()}
